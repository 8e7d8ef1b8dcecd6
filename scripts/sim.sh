#!/usr/bin/env bash
# sim.sh HOURS: simulates so much cluster time, one process per processor, and prints
# the seeds that failed. First comes what has failed before, and a few seeds twice, which
# must do the same; what is left of HOURS goes to random seeds.
# sim.sh seed N [FILE]: replays one, exactly, and writes what happened to FILE.
# sim.sh shrink N: looks for the least of its schedule that still fails.
set -euo pipefail
cd "$(dirname "$0")/.."
export GODEBUG=asyncpreemptoff=1 SIM_EXACT=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
runtime=$PWD/bin/.simruntime # always the same place: what is compiled is cached
rm -rf "$runtime" && mkdir -p "$runtime"
overlay=$(scripts/simoverlay.sh "$runtime")
go test -c -overlay "$overlay" -o "$dir/simulation" ./cluster/simulation
cd cluster/simulation
case ${1:-} in
seed) SIM_SEED=$2 SIM_TRACE=${3:-} exec "$dir/simulation" -test.run '^TestSeed$' -test.v -test.timeout 0 ;;
shrink) SIM_SHRINK=$2 exec "$dir/simulation" -test.run '^TestShrink$' -test.v -test.timeout 0 ;;
esac

hours=${1:-1} procs=${PROCS:-$(nproc)}

# known TEST: runs a test of known seeds into a file of its own.
known() { "$dir/simulation" -test.run "^$1\$" -test.v -test.timeout 0 >"$dir/known.$1" 2>&1; }
known TestRegressions &
first=$!
failed=0
known TestRunsRepeat || failed=1
wait "$first" || failed=1
if [ $failed = 1 ]; then
	cat "$dir"/known.*
	exit 1
fi
grep -h '^ *--- ' "$dir"/known.*
hours=$(awk -v hours="$hours" '/^LIVED/ { hours -= $2 } END { print (hours > 0 ? hours : 0) }' "$dir"/known.*)

pids=()
for ((i = 0; i < procs; i++)); do
	SIM_HOURS=$(awk "BEGIN { print $hours / $procs }") \
		"$dir/simulation" -test.run '^TestHours$' -test.timeout 0 >"$dir/out.$i" 2>&1 &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
for ((i = 0; i < procs; i++)); do
	if ! grep -q '^TOTAL' "$dir/out.$i"; then
		echo "a process died under $(grep '^seed ' "$dir/out.$i" | tail -1):"
		tail -60 "$dir/out.$i"
	fi
done
grep -h -A20 '^FAILED' "$dir"/out.* | grep -v '^seed ' || true
{ grep -h '^ *[0-9][0-9]* ' "$dir"/out.* || true; } | awk '{ n = $1; $1 = ""; sum[$0] += n } END { for (what in sum) printf "%9d%s\n", sum[what], what }' | sort -k2
{ grep -h '^TOTAL' "$dir"/out.* || true; } | awk '
	{ hours += $2; runs += $4; failures += $6; rate += $(NF - 3) }
	END { printf "%.2f cluster-hours in %d runs, %d failed; %.2f cluster-hours a minute\n", hours, runs, failures, rate }'
exit $failed
