#!/usr/bin/env bash
# A cluster of the previous commit's binary goes to today's and back, node by node,
# all of it or a part, beneath the checker of cmd/chaos. FROM names another
# revision. Exit codes are those of chaos.
set -euo pipefail
cd "$(dirname "$0")/.."
from=$(git rev-parse -q --verify "${FROM:-HEAD~1}^{commit}") || {
	echo "chaos-upgrade: revision ${FROM:-HEAD~1} is not here: left out"
	exit 0
}
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
git archive "$from" | tar -x -C "$tree"
(cd "$tree" && CGO_ENABLED=0 "${GO:-go}" build -trimpath -o quorate-from ./cmd/quorate)
# The way back is open as long as the semantic version is not raised: a new cluster is at
# the first one then, at which no command waits. So all kinds are played but blocking.
bin/chaos -quorate "$tree/quorate-from" -other bin/quorate -faults upgrade -rounds 2 -duration 2m -every 1s -lasts 2s \
	-kinds string,counter,append,hash,list,set,zset,stream,multi,watch,lua,ttl,caching -clients 6 -groups 6 -ops 250 -out bin/chaos-upgrade -args '--no-leader-wait 10000 --cluster-version-raise no' "$@"
