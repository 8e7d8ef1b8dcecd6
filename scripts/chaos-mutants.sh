#!/usr/bin/env bash
# Builds each seeded bug and shows that the tests find it: a bug that is not
# found within a minute fails. Names of bugs as arguments choose some.
set -u
cd "$(dirname "$0")/.."
GO=${GO:-go}
PORT=${PORT:-21100}
failed=0

# wanted NAME ARGS...: reports whether NAME is among the arguments, or there are none.
wanted() {
	local name=$1 arg
	shift
	[ "$#" -eq 0 ] && return 0
	for arg; do [ "$arg" = "$name" ] && return 0; done
	return 1
}

report() { # name, found, seconds, how
	if [ "$2" = 1 ]; then
		printf '%-14s found in %5.1f s: %s\n' "$1" "$3" "$4"
	else
		printf '%-14s NOT FOUND in %5.1f s: %s\n' "$1" "$3" "$4"
		failed=1
	fi
}

# hunt NAME FLAGS...: runs chaos against nodes with the bug.
hunt() {
	local name=$1 out=bin/mutants/$1 began code
	shift
	mkdir -p "$out"
	CGO_ENABLED=0 $GO build -tags "mutant_$name" -trimpath -o "$out/quorate" ./cmd/quorate || { failed=1; return; }
	began=$(date +%s.%N)
	bin/chaos -quorate "$out/quorate" -port "$PORT" -out "$out" -args '--no-leader-wait 10000' -duration 60s -limit 5s -side=false "$@" >"$out/log" 2>&1
	code=$?
	report "$name" "$([ "$code" = 1 ] && grep -q 'not linearizable' "$out/log" && echo 1 || echo 0)" \
		"$(echo "$(date +%s.%N) - $began" | bc)" "$(tail -1 "$out/log" | cut -c1-160)"
}

$GO build -o bin/chaos ./cmd/chaos || exit 1

# The lease is not looked at after a read's arrival: a paused leader goes on.
wanted lease "$@" && hunt lease -kinds string,counter,append -faults process/pause-leader -every 500ms -lasts 1200ms
# The leader answers before a majority has the entry.
wanted early_ack "$@" && hunt early_ack -mode hot -kinds string,counter
# A batch that is sent to the next leader is applied again.
wanted resend "$@" && hunt resend -kinds counter,append -faults process/transfer,process/kill-leader -every 500ms -lasts 500ms
# A new leader serves reads before its term's barrier.
wanted barrier "$@" && hunt barrier -kinds counter -writers 4 -groups 1 -faults process/pause-leader,process/kill-leader -every 200ms -lasts 300ms
# Watched keys are forgotten when a batch is sent to the next leader.
wanted watch "$@" && hunt watch -kinds watch -groups 2 -faults process/kill-leader,process/transfer -every 500ms -lasts 500ms
# Keys expire by each node's own clock.
wanted clock "$@" && hunt clock -kinds ttl -faults process/kill-one,process/kill-leader -every 500ms -lasts 300ms
# SPOP chooses as the order of a map does.
wanted spop "$@" && hunt spop -mode hot -kinds set

# A killed process leaves its page cache behind: that an fsync was skipped is for
# the tests over a file system that loses what was not fsynced.
if wanted skipped_fsync "$@"; then
	mkdir -p bin/mutants
	$GO test -c -tags mutant_skipped_fsync -o bin/mutants/raftlog.test ./cluster/raftlog || exit 1
	began=$(date +%s.%N)
	(cd cluster/raftlog && timeout 60 ../../bin/mutants/raftlog.test -test.run 'Crash|Power' >../../bin/mutants/raftlog.log 2>&1)
	code=$?
	report skipped_fsync "$([ "$code" = 1 ] && echo 1 || echo 0)" "$(echo "$(date +%s.%N) - $began" | bc)" \
		"$(grep -m1 -- '--- FAIL' bin/mutants/raftlog.log | cut -c1-120)"
fi
exit "$failed"
