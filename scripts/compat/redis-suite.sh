#!/usr/bin/env bash
# Runs the test suite of Redis 7.0.15 against quorate, one file at a time.
#
#   redis-suite.sh [--on leader|follower|both] [FILE ...]   starts three nodes and stops them
#   redis-suite.sh --port P [FILE ...]                      against a server that runs
#
# FILE is a name as the suite has it, such as unit/type/string; without any, all
# files that can be run against an external server are.
#
# The suite is taken from Debian's source package of redis and stays outside the
# repository: in QUORATE_SUITE_CACHE, or a folder under TMPDIR. QUORATE is the
# binary (bin/quorate), LIMIT the seconds a file may take (240), LOGS the folder
# for what each file printed, TCL the interpreter (tclsh8.6).
#
# Prints a line a file: tests passed, failed, failed as they are known to, skipped,
# and how it ended; then the names of those that failed. Exit code 1 if any did, or
# a file did not end by itself. Reasons: redis-suite.known holds the tests that
# fail, redis-suite.skip those that are not run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${QUORATE_SUITE_CACHE:-${TMPDIR:-/tmp}/quorate-redis-suite}
quorate=${QUORATE:-$root/bin/quorate}
limit=${LIMIT:-240}
logs=${LOGS:-$cache/logs}
tcl=${TCL:-tclsh8.6}
version=7.0.15

port=
on=both
files=()
while [ $# -gt 0 ]; do
	case $1 in
	--port) port=$2 && shift 2 ;;
	--on) on=$2 && shift 2 ;;
	-*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" && exit 2 ;;
	*) files+=("$1") && shift ;;
	esac
done
if [ ${#files[@]} -eq 0 ]; then
	mapfile -t files < <(grep -v '^#' "$here/redis-suite.files")
fi

# fetch unpacks the suite into the cache, unless it is there.
fetch() {
	suite=$cache/redis-$version
	[ -e "$suite/tests/test_helper.tcl" ] && return
	mkdir -p "$cache/lists/partial"
	cat >"$cache/debian.sources" <<-EOF
		Types: deb-src
		URIs: ${DEBIAN_MIRROR:-http://deb.debian.org/debian}
		Suites: bookworm
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
	local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$cache/debian.sources" -o Dir::Etc::sourceparts=-
		-o "Dir::State::lists=$cache/lists" -o APT::Sandbox::User=)
	"${apt[@]}" update
	(cd "$cache" && "${apt[@]}" source --download-only redis >/dev/null 2>&1 && tar xzf "redis_$version.orig.tar.gz")
	# Two files of tests want these programs there.
	for program in redis-cli redis-benchmark; do
		ln -sf "$(command -v $program)" "$suite/src/$program"
	done
}

# adapt turns off what would end or double whole files while FUNCTION is missing:
# the suite flushes functions before each block, and runs each script as a function.
adapt() {
	if redis-cli -p "$1" command info function | grep -q function; then return; fi
	sed -i 's/^    r function flush$/    catch {r function flush}/' "$suite/tests/support/server.tcl"
	sed -i 's/^foreach is_eval {0 1} {$/foreach is_eval {1} {/' "$suite/tests/unit/scripting.tcl"
}

# unexpected prints the failed tests of a log that redis-suite.known does not hold.
unexpected() {
	sed -n 's/^\[err\]: \(.*\) in tests\/.*\.tcl$/\1/p; /^\[err\]/{/ in tests\/.*\.tcl$/!p}' "$2" |
		awk -F ' [|] ' -v file="$1" '
			NR == FNR { if (!/^#/ && NF >= 3 && $1 == file) { known[$2]; } next }
			{ for (k in known) if ($0 == k || (k ~ /^\// && $0 ~ substr(k, 2))) next; print file ": " $0 }
		' "$here/redis-suite.known" -
}

# settings prints, a line each, those settings that some files change and leave so.
settings() {
	redis-cli -p "$1" config get '*-max-*' | paste - - | grep -v ziplist
}

# restore sets settings back to what settings had printed.
restore() {
	local name value
	while read -r name value; do
		redis-cli -p "$1" config set "$name" "$value" >/dev/null
	done < <(comm -13 <(settings "$1" | sort) <(sort <<<"$2"))
	redis-cli -p "$1" client unpause >/dev/null
}

# run runs one file against a port, and prints its line.
run() {
	local port=$1 label=$2 file=$3 log before ended=yes
	before=$(settings "$port")
	log=$logs/$label/${file//\//_}.log
	mkdir -p "$(dirname "$log")"
	awk -F ' [|] ' -v file="$file" '!/^#/ && NF >= 3 && ($1 == file || $1 == "*") {print $2}' \
		"$here/redis-suite.skip" >"$cache/skip.$$"
	(cd "$suite" && TERM=dumb timeout -k 5 "$limit" "$tcl" tests/test_helper.tcl --host 127.0.0.1 --port "$port" \
		--baseport $((20000 + port % 9973)) \
		--single "$file" --durable --tags -needs:repl --skipfile "$cache/skip.$$") >"$log" 2>&1 </dev/null || {
		local code=$?
		if [ $code -ge 124 ]; then
			ended='stopped at the time limit'
		elif ! grep -q '^\[1/1 done\]' "$log"; then
			ended='aborted'
		fi
	}
	rm -f "$cache/skip.$$"
	restore "$port" "$before"
	local ok all err out
	ok=$(grep -c '^\[ok\]' "$log" || true)
	all=$(grep -c '^\[err\]' "$log" || true)
	out=$(grep -cE '^\[(skip|ignore)\]' "$log" || true)
	err=$(unexpected "$file" "$log" | tee -a "$logs/failed" | wc -l)
	printf '%-9s %-28s %5d passed %4d failed %4d known %4d skipped   ended: %s\n' \
		"$label" "$file" "$ok" "$err" $((all - err)) "$out" "$ended"
	known=$((known + all - err)) passed=$((passed + ok)) failed=$((failed + err)) skipped=$((skipped + out))
	[ "$ended" = yes ] || broken=$((broken + 1))
}

# suite_on runs all files against a port.
suite_on() {
	local file
	for file in "${files[@]}"; do
		run "$1" "$2" "$file"
	done
}

pids=()
stop() {
	local pid
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	wait
	[ -z "${data:-}" ] || rm -rf "$data"
}

# start starts three nodes on ports from 7361 on, and sets leader and follower.
start() {
	data=$(mktemp -d)
	trap stop EXIT
	local i first=7361 join
	join=127.0.0.1:$((first + 10000)),127.0.0.1:$((first + 10001)),127.0.0.1:$((first + 10002))
	for i in 0 1 2; do
		mkdir "$data/$i"
		"$quorate" server --port $((first + i)) --dir "$data/$i" --save '' --enable-debug-command yes \
			--bootstrap-expect 3 --join "$join" >"$data/$i.log" 2>&1 &
		pids+=($!)
	done
	local tries
	for tries in $(seq 100); do
		if [ "$(for i in 0 1 2; do "$quorate" health --port $((first + i)) >/dev/null 2>&1 && echo; done | wc -l)" = 3 ]; then
			break
		fi
		[ "$tries" -lt 100 ] || { echo 'the nodes did not come up' >&2 && exit 1; }
		sleep 0.2
	done
	for i in 0 1 2; do
		if redis-cli -p $((first + i)) role | head -1 | grep -q master; then
			leader=$((first + i))
		else
			follower=$((first + i))
		fi
	done
}

fetch
passed=0 failed=0 known=0 skipped=0 broken=0
mkdir -p "$logs"
: >"$logs/failed"
if [ -n "$port" ]; then
	adapt "$port"
	suite_on "$port" external
else
	start
	adapt "$leader"
	case $on in leader | both) suite_on "$leader" leader ;; esac
	case $on in follower | both) suite_on "$follower" follower ;; esac
fi
printf '%d passed, %d failed, %d known to fail, %d skipped, %d files did not end by themselves; logs in %s\n' \
	"$passed" "$failed" "$known" "$skipped" "$broken" "$logs"
[ "$failed" = 0 ] || cut -c 1-160 "$logs/failed"
[ "$failed" = 0 ] && [ "$broken" = 0 ]
