"""A client that writes and reads without pause, with redis-py.

Prints a line for each write that it read back, and ends when its standard
input does. An error ends it with exit code 1; but with --cluster or --sentinels the
node that the client talks to may die, and it begins anew where it was told.
"""

import argparse
import logging
import sys
import threading

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException
from redis.sentinel import Sentinel


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--cluster", action="store_true")
    flags.add_argument("--sentinels", help="host:port with commas between, to find the master by")
    args = flags.parse_args()
    logging.disable(logging.CRITICAL)  # redis-py logs each redirection as an error

    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

    def connect():
        if args.sentinels:
            places = [place.rsplit(":", 1) for place in args.sentinels.split(",")]
            return Sentinel(places, socket_timeout=20).master_for("mymaster")
        kind = RedisCluster if args.cluster else redis.Redis
        return kind(host="127.0.0.1", port=args.port, socket_timeout=20)

    client, key, i = None, "steady:%d" % args.port, 0
    while not stop.is_set():
        i += 1
        try:
            client = client or connect()
            client.set(key, i)
            seen = int(client.get(key))
        except (redis.RedisError, RedisClusterException):
            if not args.cluster and not args.sentinels:
                raise
            if args.sentinels:
                stop.wait(0.05)
                continue
            # redis-py 4.3 can't look for the slots again when a node of its is
            # dead: it fails to copy its own settings. A new client can.
            client = None
            stop.wait(0.05)
            continue
        if seen != i:
            sys.exit("wrote %d and read %d" % (i, seen))
        print(i, flush=True)


if __name__ == "__main__":
    main()
