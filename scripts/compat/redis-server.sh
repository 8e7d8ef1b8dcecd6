#!/usr/bin/env bash
# What the suite takes for redis-server when it starts servers of its own: quorate, as a
# cluster of one node, with the suite's configuration. QUORATE is the binary.
#
#   redis-server CONFIG [--DIRECTIVE VALUE ...]
#
# The suite waits for two lines of redis-server's log, which are printed here. Its
# configurations say `appendonly no`, which would have nothing outlive a restart;
# their snapshots do in redis-server, so a log is kept here instead. Scripts that never end
# must last until the suite has looked at a server that is busy.
set -eu
case ${1-} in
--*) exec "$QUORATE" server "$@" ;; # to see what it says of its command line
esac
config=$1
shift
port=$(awk '$1 == "port" { port = $2 } END { print port }' "$config")
sed -i 's/^appendonly no$/appendonly yes/' "$config"
echo "Server initialized, PID: $$"
# whoever is asked for a password is served too
{
	until redis-cli -p "$port" ping 2>&1 | grep -qE '^(PONG|NOAUTH|DENIED)'; do
		kill -0 $$ 2>/dev/null || exit 0 # it is gone
		sleep 0.05
	done
	echo 'Ready to accept connections'
} &
exec "$QUORATE" server "$config" --cluster-port "$((port + 10000))" --appendfsync no \
	--lua-instructions-max 1000000000 --lua-bytes-max 2000000000 "$@"
