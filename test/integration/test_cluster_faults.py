# SPDX-License-Identifier: Apache-2.0
"""What breaks beneath servers in cluster mode: nodes and links of Redis, brokers, other servers, foreign
hands. Each time no PASS is lost, no serial is given twice, the event goes on, and every client that
keeps asking gets a final answer.

The classic rule, which answers after its script and publishes later, goes through the same and oversells:
so this would see it.
"""
import signal
import time

import pytest
from client import EVENTS
from crowd import Crowd, Told, crowd
from deployment import SECONDS, ask, die_at, sell_out
from harness import count, wait_until
from redis_cluster import PASSWORDS

pytestmark = [pytest.mark.redis, pytest.mark.kafka]

STOCK = 200


# ---- Redis ----

def test_reservations_that_are_wiped_come_back_from_the_log(deployment):
    server = deployment.start()
    told = Told(deployment.event, STOCK)
    server.create(told.event, STOCK)
    crowd(server, told, [f"u-{n}" for n in range(STOCK // 2)])
    deployment.redis.master_of(deployment.key)("FLUSHALL")
    sell_out(deployment, told)


def test_very_many_winners_are_put_back_in_parts(deployment):
    """More of them than one command could bring, with the long counts."""
    winners = count(3500, 450_000)
    server = deployment.start()
    server.create(deployment.event, winners + 1)
    server.run("load", "--url", "http://{}:{}".format(*server.ready.public), "--event", deployment.event,
               "--users", winners, "--connections", 64, "--no-verify-export", seconds=600)
    rows = server.export(deployment.event)
    assert len(rows) == winners
    node = deployment.redis.master_of(deployment.key)
    node("FLUSHALL")
    assert ask(server, "the-last", deployment.event, seconds=120).json["serial"] == winners + 1
    assert node("HLEN", deployment.key[:-1] + "u") == winners + 1
    for row in rows[0], rows[winners // 2], rows[-1]:
        assert ask(server, row["user_id"], deployment.event).json["serial"] == row["serial"]
    assert ask(server, "late", deployment.event).result == "sold_out"


def test_a_master_dies(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    ask(two, "u-0", told.event)
    work = Crowd(one, told, [f"u-{n}" for n in range(STOCK // 2)])
    master = deployment.redis.master_of(deployment.key)
    master.kill()
    work.wait()
    sell_out(deployment, told)
    master.start()
    deployment.redis.await_whole()


def test_a_master_that_comes_back_from_a_sleep_gives_nothing_twice(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    ask(two, "u-0", told.event)
    master = deployment.redis.master_of(deployment.key)
    replica = deployment.redis.replica_of(master)
    master.signal(signal.SIGSTOP)
    work = Crowd(one, told, [f"u-{n}" for n in range(STOCK // 2)])
    wait_until(lambda: replica.is_master(), "a failover", SECONDS)
    master.signal(signal.SIGCONT)
    work.wait()
    sell_out(deployment, told)
    deployment.redis.await_whole()

def test_a_replica_takes_over_in_good_order(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    ask(two, "u-0", told.event)
    work = Crowd(one, told, [f"u-{n}" for n in range(STOCK // 2)])
    deployment.redis.failover(deployment.key)
    work.wait()
    sell_out(deployment, told)
    deployment.redis.await_whole()


class CutLink:
    """The replica of a key's master gets no more of what that master does; nobody else notices."""

    def __init__(self, redis, key):
        self.redis, self.master = redis, redis.master_of(key)
        self.replica = redis.replica_of(self.master)
        self.replica("CONFIG", "SET", "masterauth", "wrong")
        self.master("CLIENT", "KILL", "TYPE", "replica")
        wait_until(lambda: self.replica.info("master_link_status") == "down", "a cut link", SECONDS)

    def lose_the_master(self):
        """What it had alone is gone with it: the replica goes on from before."""
        self.master.kill()
        wait_until(self.replica.is_master, "a failover", SECONDS)

    def heal(self):
        self.replica("CONFIG", "SET", "masterauth", PASSWORDS["replica"])
        self.master.start()
        self.redis.await_whole()


def test_what_a_master_did_alone_is_lost_with_it(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    crowd(one, told, [f"before-{n}" for n in range(10)])
    cut = CutLink(deployment.redis, deployment.key)
    crowd(two, told, [f"alone-{n}" for n in range(STOCK // 2)])
    assert len(told.coupons) > STOCK // 2
    cut.lose_the_master()
    sell_out(deployment, told)
    cut.heal()


CLASSIC = """
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 0 end
local serial = redis.call('INCR', KEYS[1])
if serial > tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
return serial
"""


def test_the_classic_rule_gives_serials_twice(deployment):
    """A script that counts and remembers, and its word is the answer."""
    redis, tag = deployment.redis, f"{{{deployment.event}}}"
    told = []

    def claim(node, user):
        serial = node("EVAL", CLASSIC, 2, f"classic:{tag}:n", f"classic:{tag}:u", user, STOCK)
        if serial:
            told.append(serial)

    cut = CutLink(redis, f"classic:{tag}:n")
    for n in range(STOCK // 2):
        claim(cut.master, f"alone-{n}")
    cut.lose_the_master()
    for n in range(STOCK):
        claim(cut.replica, f"after-{n}")
    cut.heal()
    assert len(told) > STOCK and len(set(told)) < len(told)


def test_nothing_is_asked_of_redis_when_all_is_over(deployment):
    """Not by those who come too late, and not by servers that look after the event."""
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, 20)
    one.create(told.event, told.stock)
    sell_out(deployment, told)
    node = deployment.redis.master_of(deployment.key)

    def commands():
        return {name: node.info(f"cmdstat_{name}").split(",")[0] for name in ("evalsha", "xrange")}

    since, seen = time.monotonic(), commands()

    def is_still():
        nonlocal since, seen
        now = commands()
        if now != seen:
            since, seen = time.monotonic(), now
        for server in (one, two):
            crowd(server, told, [f"late-{n}" for n in range(100)], threads=2, depth=10)
        return time.monotonic() > since + 4

    wait_until(is_still, "quiet", SECONDS)
    assert commands() == seen
    told.check()


def test_an_event_that_is_over_leaves_redis(deployment):
    """Its keys end, and everything about it is still answered."""
    server = deployment.start("--archive-ttl", "2s")
    event, node = deployment.event, deployment.redis.master_of(deployment.key)
    server.create(event, 3)
    coupon = ask(server, "ada", event).json["coupon_id"]
    assert node("TTL", deployment.key) == -1
    response = server.admin("POST", f"{EVENTS}/{event}/close", {"operator": "ops", "reason": "test"})
    assert response.status == 200, response
    wait_until(lambda: node("EXISTS", deployment.key) == 0, "the end of the keys", SECONDS)
    assert node("KEYS", f"coupon:{{{event}}}:*") == []
    assert ask(server, "ada", event).json["coupon_id"] == coupon
    assert server.coupon_of("ada", event)["coupon_id"] == coupon
    assert server.coupon_of("bob", event) is None
    assert ask(server, "bob", event).result == "ended"
    assert [row["user_id"] for row in server.export(event)] == ["ada"]


# ---- foreign hands ----

def test_a_reservation_that_the_log_refuses_brings_the_log_back(deployment):
    """Nobody waits for it: whoever relays it has to see to it that it does not come again."""
    server = deployment.start()
    told = Told(deployment.event, 20)
    server.create(told.event, told.stock)
    told.hear("ada", ask(server, "ada", told.event))
    node = deployment.redis.master_of(deployment.key)
    outbox = f"coupon:{{{told.event}}}:o"
    gen = int(node("HGET", deployment.key, "gen"))
    ms = int(node("HGET", deployment.key, "tl"))
    node("XADD", outbox, f"{gen}-1000", "u", "mallory", "r", f"{gen} 1 {ms} 1000 c")
    wait_until(lambda: int(node("HGET", deployment.key, "gen")) > gen, "an install", SECONDS)
    assert node("XLEN", outbox) == 0
    sell_out(deployment, told)


@pytest.mark.failpoints
def test_nonsense_in_an_outbox_stops_nobody(deployment, crash_runs):
    one = deployment.start()
    told = Told(deployment.event, 20)
    one.create(told.event, told.stock)
    node = deployment.redis.master_of(deployment.key)
    node("XADD", f"coupon:{{{told.event}}}:o", "0-1", "not", "ours")
    wait_until(lambda: "event=no_outbox_entry" in one.stderr(), "a word of it")
    die_at(deployment, "cluster_reserved", lambda server: server.claim("bob", told.event))
    crash_runs.add()
    wait_until(lambda: one.coupon_of("bob", told.event) is not None, "bob's coupon")
    sell_out(deployment, told)


# ---- servers ----

OF_CONTROLS = ["cluster_control_written", "cluster_fencing", "cluster_fenced", "cluster_before_install",
               "cluster_installed"]


@pytest.mark.failpoints
@pytest.mark.parametrize("place", OF_CONTROLS)
def test_who_restocks_dies(deployment, place, crash_runs):
    """Once in the log it comes into force, whoever has to bring it there: here a server that starts."""
    event = deployment.event

    def restock(server):
        server.admin("POST", f"{EVENTS}/{event}/restock",
                     {"total_stock": 2, "operator": "ops", "reason": "test"})

    one = deployment.start()
    one.create(event, 1)
    assert ask(one, "ada", event).result == "issued"
    one.stop()
    die_at(deployment, place, restock)
    crash_runs.add()
    one.restart()
    if one.status_of(event)["total_stock"] == 1:  # it did not reach the log
        restock(one)
    wait_until(lambda: one.claim("bob", event).result in ("issued", "already_issued"), "bob's coupon")
    assert ask(one, "cy", event).result == "sold_out"


# ---- brokers ----

def test_no_broker_is_there(deployment):
    server = deployment.start()
    told = Told(deployment.event, 20)
    server.create(told.event, 20)
    told.hear("ada", ask(server, "ada", told.event))
    for node in deployment.kafka.nodes:
        node.freeze()
    try:
        response = server.claim("bob", told.event)
        assert response.status == 202 and response.header("Retry-After"), response
        assert response.json["success"] is None and response.json["result"] == "pending"
        assert server.claim("ada", told.event).result == "already_issued"
    finally:
        for node in deployment.kafka.nodes:
            node.thaw()
    deployment.kafka.await_all()
    told.hear("bob", ask(server, "bob", told.event))
    sell_out(deployment, told)

@pytest.mark.parametrize("brokers", [1, 2, 3])
def test_brokers_die(deployment, brokers):
    """With one away all goes on. With more nothing is decided any more, and nothing is forgotten."""
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, 40)
    one.create(told.event, told.stock)
    told.hear("ada", ask(two, "ada", told.event))
    leader = deployment.kafka.leader_of(deployment.topic)
    victims = [leader, *[node for node in deployment.kafka.nodes if node is not leader]][:brokers]
    for node in victims:
        node.kill()
    try:
        if brokers == 1:
            told.hear("bob", ask(one, "bob", told.event))
        else:
            response = one.claim("bob", told.event)
            assert response.status in (202, 503), response
        assert two.claim("ada", told.event).result == "already_issued"
    finally:
        for node in victims:
            node.start()
    deployment.kafka.await_all()
    sell_out(deployment, told)


def test_a_server_behind_the_log_says_no_to_nobody_for_good(deployment):
    """What it knows may be out of date: somebody may have restocked. Yes stays yes."""
    server = deployment.start()
    event = deployment.event
    server.create(event, 1)
    ask(server, "ada", event)
    assert ask(server, "bob", event).json["final"] is True
    assert server.get("/readyz").status == 200
    for node in deployment.kafka.nodes:
        node.freeze()
    try:
        wait_until(lambda: server.claim("bob", event).json["final"] is False, "doubt", SECONDS)
        assert server.claim("ada", event).result == "already_issued"
        wait_until(lambda: server.get("/readyz").status == 503, "a word to the balancer", SECONDS)
        assert server.get("/livez").status == 200
    finally:
        for node in deployment.kafka.nodes:
            node.thaw()
    deployment.kafka.await_all()
    wait_until(lambda: server.get("/readyz").status == 200, "readiness", SECONDS)
    assert ask(server, "bob", event).json["final"] is True
