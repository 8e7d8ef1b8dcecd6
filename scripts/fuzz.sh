#!/usr/bin/env bash
# Runs every fuzz target of the tree for FUZZTIME (a number of inputs, 5000x, or a time)
# each. By default that is 5000 inputs, and a tenth of it where an input is a walk of
# hundreds of commands.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	inputs=5000x
	[ "$dir" != ./engine/models ] || inputs=500x
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$dir"/*_test.go | sort -u | while read -r target; do
		echo "fuzz $dir $target"
		# What a failure prints is wanted whole. By default the fuzzer makes every new
		# input smaller for up to a minute; here it shall look for others meanwhile.
		out=$("$go" test "$dir" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-$inputs}" -fuzzminimizetime 10x </dev/null 2>&1) || { echo "$out"; exit 1; }
		tail -n 1 <<<"$out"
	done
done
