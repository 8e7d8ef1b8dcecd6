"""The recipes of an introduction to Redis, with redis-py on a node of a cluster.

Exits 0 when every one of them worked: guide.py --port P --other Q, or with
--cluster for RedisCluster.
"""

import argparse
import sys
import time

import redis
from redis.cluster import RedisCluster


def cache(here, there, tag):
    assert here.get(tag + "page") is None
    assert here.set(tag + "page", "<html>", ex=60)
    assert there.get(tag + "page") == "<html>"
    assert 50 <= there.ttl(tag + "page") <= 60
    assert here.set(tag + "page", "other", nx=True) is None
    here.set(tag + "brief", "soon gone", px=80)
    deadline = time.monotonic() + 5
    while here.exists(tag + "brief") or there.exists(tag + "brief"):
        assert time.monotonic() < deadline, "the key does not expire"


def leaderboard(here, there, tag):
    board = tag + "board"
    here.zadd(board, {f"player{i}": i for i in range(100)})
    there.zincrby(board, 1000.5, "player7")
    assert here.zrevrange(board, 0, 2, withscores=True) == [("player7", 1007.5), ("player99", 99.0), ("player98", 98.0)]
    assert there.zrevrank(board, "player98") == 2


def recent_items(here, there, tag):
    for i in range(30):
        pipe = here.pipeline(transaction=False) if not isinstance(here, RedisCluster) else here.pipeline()
        pipe.lpush(tag + "recent", i)
        pipe.ltrim(tag + "recent", 0, 9)
        pipe.execute()
    assert there.lrange(tag + "recent", 0, -1) == [str(i) for i in range(29, 19, -1)]


def await_receivers(publisher, channel):
    deadline = time.monotonic() + 5
    while publisher.publish(channel, "anyone there?") != 1:
        assert time.monotonic() < deadline, "the subscriber is not known"


def received(subscription, kind):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        message = subscription.get_message(timeout=1)
        if message and message["type"] == kind and message["data"] != "anyone there?":
            return message
    raise AssertionError("no message came")


def publish_subscribe(here, there, tag):
    subscription = there.pubsub()
    subscription.subscribe(tag + "news")
    subscription.get_message(timeout=5)
    await_receivers(here, tag + "news")
    for i in range(20):
        assert here.publish(tag + "news", i) == 1
    for i in range(20):
        assert received(subscription, "message")["data"] == str(i)
    subscription.close()


def pattern_subscription(here, there, tag):
    subscription = there.pubsub()
    subscription.psubscribe(tag + "*:sold")
    subscription.get_message(timeout=5)
    await_receivers(here, tag + "probe:sold")
    here.publish(tag + "tea:bought", "no")
    here.publish(tag + "tea:sold", "yes")
    message = received(subscription, "pmessage")
    assert (message["channel"], message["data"]) == (tag + "tea:sold", "yes"), message
    subscription.close()


def rate_limiter(here, there, tag):
    def allowed(client, now):
        pipe = client.pipeline()
        pipe.zremrangebyscore(tag + "window", "-inf", now - 1000)
        pipe.zadd(tag + "window", {str(now): now})
        pipe.zcard(tag + "window")
        pipe.expire(tag + "window", 10)
        return pipe.execute()[2] <= 10

    got = [allowed((here, there)[i % 2], 5000 + i) for i in range(12)]
    assert got == [True] * 10 + [False] * 2, got
    assert allowed(here, 6020)


def optimistic_counter(here, there, tag):
    key = tag + "count"
    conflicts = 0
    for i in range(20):
        with here.pipeline() as pipe:
            while True:
                try:
                    pipe.watch(key)
                    n = int(pipe.get(key) or 0)
                    if i == 10 and not conflicts:
                        there.incrby(key, 100)  # somebody else, on another node
                    pipe.multi()
                    pipe.set(key, n + 1)
                    pipe.execute()
                    break
                except redis.WatchError:
                    conflicts += 1
    assert conflicts == 1, conflicts
    assert there.get(key) == "120"


def compare_and_delete(here, there, tag):
    source = """
        if redis.call("GET", KEYS[1]) == ARGV[1] then
            return redis.call("DEL", KEYS[1])
        end
        return 0"""
    here.set(tag + "lock", "mine")
    assert there.eval(source, 1, tag + "lock", "another's") == 0
    sha = there.script_load(source)
    assert here.evalsha(sha, 1, tag + "lock", "mine") == 1
    assert there.exists(tag + "lock") == 0


def stream_reader(here, there, tag):
    ids = [here.xadd(tag + "orders", {"order": i}, maxlen=1000) for i in range(60)]
    last, read = "0", []
    while len(read) < len(ids):
        for _, entries in there.xread({tag + "orders": last}, count=25):
            for last, fields in entries:
                assert fields == {"order": str(len(read))}
                read.append(last)
    assert read == ids
    assert there.xlen(tag + "orders") == 60
    assert here.xrevrange(tag + "orders", count=1)[0][0] == ids[-1]


RECIPES = (
    cache, leaderboard, recent_items, publish_subscribe, pattern_subscription,
    rate_limiter, optimistic_counter, compare_and_delete, stream_reader,
)


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--other", type=int)
    flags.add_argument("--cluster", action="store_true")
    args = flags.parse_args()

    if args.cluster:
        here = there = RedisCluster(host="127.0.0.1", port=args.port, decode_responses=True, socket_timeout=10)
    else:
        here = redis.Redis(port=args.port, decode_responses=True, socket_timeout=10)
        there = redis.Redis(port=args.other, decode_responses=True, socket_timeout=10)
    for recipe in RECIPES:
        tag = "{py:%s:%d:%s}:" % ("cluster" if args.cluster else "plain", args.port, recipe.__name__)
        client, other = here, there
        if args.cluster and recipe is optimistic_counter:
            # redis-py's cluster client has no transactions: applications take
            # the connection of the key's node.
            client = other = here.get_redis_connection(here.get_node_from_key(tag))
        try:
            recipe(client, other, tag)
        except Exception:
            print("failed:", recipe.__name__, file=sys.stderr)
            raise


if __name__ == "__main__":
    main()
