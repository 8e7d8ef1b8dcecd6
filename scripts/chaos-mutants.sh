#!/usr/bin/env bash
# Builds each seeded bug and shows that the tests find it: a bug that is not
# found within a minute fails. Names of bugs as arguments choose some.
set -u
cd "$(dirname "$0")/.."
GO=${GO:-go}
PORT=${PORT:-21100}
OUT=bin/mutants
failed=0

# wanted NAME ARGS...: reports whether NAME is among the arguments, or there are none.
wanted() {
	local name=$1 arg
	shift
	[ "$#" -eq 0 ] && return 0
	for arg; do [ "$arg" = "$name" ] && return 0; done
	return 1
}

# report NAME BEGAN HOW: by HOW it was found, since BEGAN; an empty HOW: not found.
report() {
	local seconds
	seconds=$(date +%s.%N | awk -v began="$2" '{ printf "%.1f", $1 - began }')
	if [ -n "$3" ] && awk -v s="$seconds" 'BEGIN { exit !(s <= 60) }'; then
		printf '%-14s found in %5.1f s: %s\n' "$1" "$seconds" "$3"
	else
		printf '%-14s NOT FOUND in %5.1f s %s\n' "$1" "$seconds" "$3"
		failed=1
	fi
}

# hunt NAME EVIDENCE FLAGS...: runs chaos against nodes with the bug. It is found
# if chaos fails with a violation that matches EVIDENCE.
hunt() {
	local name=$1 evidence=$2 out=$OUT/$1 began code how=
	shift 2
	mkdir -p "$out"
	CGO_ENABLED=0 $GO build -tags "mutant_$name" -trimpath -o "$out/quorate" ./cmd/quorate || { failed=1; return; }
	began=$(date +%s.%N)
	timeout 120 bin/chaos -quorate "$out/quorate" -port "$PORT" -out "$out" -args '--no-leader-wait 10000' -duration 50s -limit 5s -side=false "$@" >"$out/log" 2>&1
	code=$?
	[ "$code" = 1 ] && how=$(grep -m1 -E "VIOLATION: .*($evidence)" "$out/log" | cut -c1-160)
	case $how in
	*'state of this node differs'*) how='by the nodes themselves, whose chains of changes parted' ;;
	*'digests differ'*) how='the digests of the nodes differ' ;;
	esac
	report "$name" "$began" "${how#chaos: VIOLATION: }"
	[ -n "$how" ] || tail -1 "$out/log"
}

# dig NAME PACKAGE TESTS: runs a package's tests, built with the bug.
dig() {
	local name=$1 package=$2 tests=$3 began how=
	mkdir -p "$OUT"
	$GO test -c -tags "mutant_$name" -o "$OUT/$name.test" "./$package" || { failed=1; return; }
	began=$(date +%s.%N)
	(cd "$package" && timeout 60 "$OLDPWD/$OUT/$name.test" -test.run "$tests") >"$OUT/$name.log" 2>&1
	[ $? = 1 ] && how=$(sed -n '/--- FAIL/,$p' "$OUT/$name.log" | grep -v 'of cluster time in\|--- ' | sed -n '1s/^ *//p' | cut -c1-160)
	report "$name" "$began" "$how"
}

$GO build -o bin/chaos ./cmd/chaos || exit 1
history='not linearizable'

# The lease is not looked at after a read's arrival: a paused leader goes on.
wanted lease "$@" && hunt lease "$history" -kinds string,counter,append -faults process/pause-leader -every 500ms -lasts 1200ms
# The leader answers before a majority has the entry.
wanted early_ack "$@" && hunt early_ack "$history" -mode hot -kinds string,counter
# A batch that is sent to the next leader is applied again.
wanted resend "$@" && hunt resend "$history" -kinds counter,append -faults process/transfer,process/kill-leader -every 500ms -lasts 500ms
# Watched keys are forgotten when a batch is sent to the next leader.
wanted watch "$@" && hunt watch "$history" -kinds watch -groups 2 -faults process/kill-leader,process/transfer -every 500ms -lasts 500ms
# SPOP chooses as the order of a map does. The nodes' states part, which they see
# themselves within a second or two if no history has shown it by then.
parted="$history|digests differ|state of this node differs"
wanted spop "$@" && hunt spop "$parted" -mode hot -kinds set
# Keys expire by each node's own clock: the same.
wanted clock "$@" && hunt clock "$parted" -mode hot -kinds ttl

# A command that waits is sent to the next leader as one that does not.
wanted wait "$@" && hunt wait 'that its time is up' -kinds blocking -duration 25s -go-on -faults process/kill-leader,process/transfer -every 500ms -lasts 500ms
# Some commands that wait do so twice, and are served again, for nobody.
wanted serve "$@" && hunt serve 'elements are gone' -kinds blocking -mode hot
# Who tracks keys is told of a change behind the reply that shows the state after it.
wanted heard "$@" && hunt heard 'is in force' -kinds caching -mode hot

# A new leader serves reads before its term's barrier: for a millisecond, if
# messages take less. They take long in a simulation that is about elections; the
# same without the bug must pass.
if wanted barrier "$@"; then
	export SIM_ELECTIONS=1000
	dig barrier cluster/simulation AfterElections
	SIM_ELECTIONS=20 $GO test -count=1 -run AfterElections ./cluster/simulation >"$OUT/barrier-without.log" 2>&1 ||
		{ echo 'barrier: the simulation fails without the bug too'; failed=1; }
fi
# A node keeps keys that its own clients have just used, where the log says that they go.
wanted spare "$@" && dig spare cluster/simulation ShortMemory
# A killed process leaves its page cache behind: that an fsync was skipped is for
# the tests over a file system that loses what was not fsynced.
wanted skipped_fsync "$@" && dig skipped_fsync cluster/raftlog 'Crash|Power'
exit "$failed"
