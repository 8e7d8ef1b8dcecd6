#!/usr/bin/env bash
# The run of cmd/chaos that CI makes: 200,000 checked operations beneath every
# fault of processes and, where root may have them, of networks, beside rounds of
# consumers that wait and of clients that keep copies. It ends when that
# is done, mostly within a minute. If it is not after five minutes, the run fails as
# undecided (2). The seed is by chance, and printed.
set -euo pipefail
cd "$(dirname "$0")/.."
families=process network=loopback
if [ "$(id -u)" = 0 ] && command -v nft >/dev/null && ip netns add chaos-ci 2>/dev/null; then
	ip netns delete chaos-ci
	families=process,network network=netns
else
	echo 'chaos-ci: no network namespaces here: the faults of networks are left out'
fi
# Short histories in which few operations are under way at a time are decided on
# two busy cores too.
exec bin/chaos -network "$network" -faults "$families" -duration 5m -enough-operations 200000 -enough-faults 24 \
	-every 500ms -lasts 1s -clients 10 -groups 6 -ops 250 -out bin/chaos-ci -args '--no-leader-wait 10000' "$@"
