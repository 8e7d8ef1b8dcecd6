#!/usr/bin/env bash
# Simulates HOURS of cluster time over random seeds, one process per processor.
# Failing seeds are printed; SIM_SEED=n go test ./cluster/simulation -run TestSeed
# replays one.
set -euo pipefail
cd "$(dirname "$0")/.."

hours=${1:-1} procs=${PROCS:-$(nproc)}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go test -c -o "$dir/simulation" ./cluster/simulation
cd cluster/simulation
pids=()
for ((i = 0; i < procs; i++)); do
	SIM_HOURS=$(awk "BEGIN { print $hours / $procs }") \
		"$dir/simulation" -test.run '^TestHours$' -test.timeout 0 >"$dir/out.$i" 2>&1 &
	pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
for ((i = 0; i < procs; i++)); do
	if ! grep -q '^TOTAL' "$dir/out.$i"; then
		echo "a process died under $(grep '^seed ' "$dir/out.$i" | tail -1):"
		tail -60 "$dir/out.$i"
	fi
done
grep -h -A20 '^FAILED' "$dir"/out.* | grep -v '^seed ' || true
grep -h '^ *[0-9][0-9]* ' "$dir"/out.* | awk '{ n = $1; $1 = ""; sum[$0] += n } END { for (what in sum) printf "%9d%s\n", sum[what], what }' | sort -k2
grep -h '^TOTAL' "$dir"/out.* | awk '
	{ hours += $2; runs += $4; failures += $6; rate += $(NF - 3) }
	END { printf "%.2f cluster-hours in %d runs, %d failed; %.2f cluster-hours a minute\n", hours, runs, failures, rate }'
exit $failed
