#!/usr/bin/env bash
# Makes an overlay of Go's runtime in DIR, for go build -overlay, under which a
# simulation does the same each time: in a synctest bubble the order of ready
# select cases, of timers of one instant and of a map's keys is drawn from a
# generator of the bubble's own, and no goroutine loses its turn to the clock.
# Prints the overlay's path.
set -euo pipefail
dir=$1
src=$(go env GOROOT)/src/runtime

# patch FILE PATTERN REPLACEMENT: one line of FILE must match.
patch() {
	local out=$dir/$1
	[ -e "$out" ] || cp "$src/$1" "$out"
	if [ "$(grep -c -- "$2" "$out")" != 1 ]; then
		echo "simoverlay: $(go version) has another $1: no single line matches: $2" >&2
		exit 1
	fi
	sed -i "s/$2/$3/" "$out"
}

patch rand.go '^	globalRand\.state\.Init(\*seed)$' '	clear(seed[:])\n&'
patch rand.go '^func rand() uint64 {$' '&\n	if b := bubbleOf(); b != nil {\n		return b.draw()\n	}'
patch select.go 'cheaprandn(uint32(norder + 1))' 'bubbleRandn(uint32(norder + 1))'
patch time.go 't\.rand = cheaprand()' 't.rand = bubbleRandn(1 << 31)'
patch proc.go '^const forcePreemptNS = .*' 'const forcePreemptNS = 1000 * 1000 * 1000 * 1000'
patch synctest.go '^	id      uint64 .*' '&\n	dice    uint64'
cat >>"$dir/rand.go" <<'GO'

//go:nosplit
func bubbleOf() *synctestBubble {
	if gp := getg().m.curg; gp != nil {
		return gp.bubble
	}
	return nil
}

// draw is splitmix64.
//
//go:nosplit
func (b *synctestBubble) draw() uint64 {
	b.dice += 0x9e3779b97f4a7c15
	z := b.dice
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func bubbleRandn(n uint32) uint32 {
	if b := bubbleOf(); b != nil {
		return uint32(b.draw() % uint64(n))
	}
	return cheaprandn(n)
}
GO
{
	printf '{"Replace": {'
	sep=
	for f in rand.go select.go time.go proc.go synctest.go; do
		printf '%s"%s/%s": "%s/%s"' "$sep" "$src" "$f" "$dir" "$f"
		sep=,
	done
	printf '}}\n'
} >"$dir/overlay.json"
echo "$dir/overlay.json"
