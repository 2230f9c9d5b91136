# SPDX-License-Identifier: Apache-2.0
"""lib/redis/cluster.h against a real Redis Cluster: redirects of a real migration, refusals, nodes that
die, stop, and take over, lost connections, TLS and users. Every command ends exactly once, and whoever
asks again is served again."""
import contextlib
import itertools
import subprocess
import time

import pytest
from harness import wait_until
from redis_cluster import (DRIVE, SLOTS, Certificates, RedisCluster, RedisError, free_ports,
                           slot_of)

pytestmark = pytest.mark.redis

numbers = itertools.count(1)


@pytest.fixture
def event():
    return f"fault-{next(numbers)}"


def key(event, which="m"):
    return f"coupon:{{{event}}}:{which}"


@pytest.fixture
def shard(redis_cluster, event):
    return redis_cluster.master_of(key(event))


@contextlib.contextmanager
def setting(node, name, value):
    before = node("CONFIG", "GET", name)[1]
    node("CONFIG", "SET", name, value)
    try:
        yield
    finally:
        node("CONFIG", "SET", name, before)


def await_count(drive, name, least=1):
    wait_until(lambda: drive.count(name) >= least, f"{least} {name}", 60)


# ---- the usual ----

def test_what_is_sent_in_a_turn_leaves_in_one_write(drive, event):
    drive.install(event, stock=1)
    drive.claim(event, "first")
    before = drive.state()
    answers = drive.ask(*[("claim", event, f"u{i}", "c", 1) for i in range(500)])
    assert {answer["code"] for answer in answers} == {"SOLD_OUT"}
    after = drive.state()
    assert after["replies"] - before["replies"] == 500
    # The pipe may bring the lines in a few pieces, each of which is a turn.
    assert after["writes"] - before["writes"] <= 5


def test_more_than_the_bound_is_refused_at_once(drives, event):
    drive = drives(commands_max=4)
    ends = [answer["end"] for answer in drive.ask(*[("claim", event, "u", "c", 1)] * 10)]
    assert ends.count("NOT_ACCEPTED") == 6 and ends.count("REPLIED") == 4
    assert drive.claim(event, "u")["code"] == "NO_STATE"


def test_two_slots_in_one_command_are_a_mistake_that_no_retry_mends(drive):
    refused = drive.one("call", "coupon:a", "HMGET", "coupon:a", "x")
    assert refused["end"] == "REPLIED"
    refused = drive.one("call", "coupon:a", "DEL", "coupon:a", "coupon:b")
    assert refused["end"] == "REFUSED" and refused["error"].startswith("CROSSSLOT")
    assert not refused["may_have_run"] and not refused["may_retry"]


def test_a_script_is_sent_by_its_text_once_for_each_node_that_lacks_it(redis_cluster, drive, event):
    drive.install(event, stock=0)
    for node in redis_cluster.masters():
        node("SCRIPT", "FLUSH")
    before = drive.state()
    answers = drive.ask(*[("claim", event, f"u{i}", "c", 1) for i in range(200)])
    assert {answer["code"] for answer in answers} == {"SOLD_OUT"}
    after = drive.state()
    assert after["noscript"] > before["noscript"]
    assert after["texts"] - before["texts"] <= 5


# ---- refusals ----

def test_noreplicas_holds_winners_until_it_is_over(drive, shard, event):
    drive.install(event, stock=1)
    with setting(shard, "min-replicas-to-write", 5):
        number, = drive.send(("claim", event, "u", "c", 1))
        await_count(drive, "noreplicas", 2)
        assert not drive.has(number)
    assert drive.take([number])[0]["code"] == "WIN"


def test_oom_holds_winners_and_lets_losers_go(drive, shard, event):
    drive.install(event, stock=1)
    drive.install(event + "-sold", stock=0)
    with setting(shard, "maxmemory", 1):
        number, = drive.send(("claim", event, "u", "c", 1))
        await_count(drive, "oom", 2)
        assert drive.claim(event + "-sold", "u")["code"] == "SOLD_OUT"
        assert not drive.has(number)
    assert drive.take([number])[0]["code"] == "WIN"


def test_busy_is_waited_for(drive, shard, event):
    drive.install(event, stock=1)
    endless = shard.connect("admin")
    with setting(shard, "busy-reply-threshold", 50):
        endless.socket.sendall(b"*3\r\n$4\r\nEVAL\r\n$18\r\nwhile true do end \r\n$1\r\n0\r\n")
        number, = drive.send(("claim", event, "u", "c", 1))
        await_count(drive, "busy")
        shard("SCRIPT", "KILL")
        with pytest.raises(RedisError):
            endless.reply()
    endless.close()
    assert drive.take([number])[0]["code"] == "WIN"


def test_a_slot_that_nobody_serves_is_waited_for(redis_cluster, drives, event):
    drive = drives(refresh_ms=600_000)
    slot, owner = slot_of(key(event)), redis_cluster.master_of(key(event))
    drive.install(event, stock=1)
    for node in redis_cluster.nodes:
        node("CLUSTER", "DELSLOTS", slot)
    number, = drive.send(("claim", event, "u", "c", 1))
    await_count(drive, "clusterdown")
    owner("CLUSTER", "ADDSLOTS", slot)
    assert drive.take([number])[0]["code"] == "WIN"
    redis_cluster.await_whole()


# ---- migration ----

class Migration:
    """Of the slot of `one`, from its master to another one."""

    def __init__(self, cluster, one):
        self.cluster, self.slot = cluster, slot_of(one)
        self.source = cluster.master_of(one)
        self.target = next(node for node in cluster.masters() if node is not self.source)

    def begin(self):
        self.target("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.id)

    def move(self, *names):
        assert self.source("MIGRATE", "127.0.0.1", self.target.port, "", 0, 10_000, "AUTH2", "admin",
                           "for-people", "KEYS", *names) == "OK"

    def move_all(self):
        while names := self.source("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            self.move(*names)

    def end(self):
        for node in (self.target, self.source, *self.cluster.masters()):
            node("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.id)
        for node in self.cluster.nodes:
            wait_until(lambda node=node: self.is_known_to(node), "a slot that has moved", 60)

    def is_known_to(self, node):
        return any(first <= self.slot <= last and master[2] == self.target.id
                   for first, last, master, *_ in node("CLUSTER", "SLOTS"))


def test_a_slot_migrates_under_a_client(redis_cluster, drives, event):
    """TRYAGAIN while keys are on both sides, ASK when all have moved, MOVED when the slot has."""
    drive = drives(refresh_ms=600_000)
    drive.install(event, stock=5, holders=[("u1", 1)])
    migration = Migration(redis_cluster, key(event))
    migration.begin()
    migration.move(key(event, "u"))
    number, = drive.send(("claim", event, "u2", "c", 1))
    await_count(drive, "tryagain", 2)
    assert not drive.has(number), "some of its keys are here and some are there"
    before = drive.count("ask")
    assert drive.one("call", key(event, "u"), "HGET", key(event, "u"), "u1")["reply"].startswith("1 1 ")
    assert drive.count("ask") == before + 1
    assert drive.count("moved") == 0
    migration.move_all()
    migration.end()
    # The state came with the slot, but not the fence: who hands out has to be installed there.
    assert drive.take([number])[0]["code"] == "FENCED"
    assert drive.install(event, gen=2, stock=5, holders=[("u1", 1)])["code"] == "DONE"
    assert drive.claim(event, "u2", gen=2)["serial"] == 2
    assert drive.count("moved") >= 1
    migration.source, migration.target = migration.target, migration.source
    migration.begin()
    migration.move_all()
    migration.end()
    redis_cluster.await_whole()


def test_moved_is_followed_and_remembered(redis_cluster, drives, event):
    """A slot without keys goes to another master and back, while nothing else is asked."""
    drive = drives(refresh_ms=600_000)
    read = ("call", key(event), "HGET", key(event), "x")
    assert drive.one(*read)["reply"] is None
    for turn in (1, 2):
        migration = Migration(redis_cluster, key(event))
        migration.begin()
        migration.end()
        assert {answer["end"] for answer in drive.ask(*[read] * 20)} == {"REPLIED"}
        moved = drive.count("moved")
        assert moved >= turn
        assert drive.one(*read)["reply"] is None
        assert drive.count("moved") == moved
    assert drive.state()["refreshes"] <= 4, "a map for each change, not for each MOVED"
    redis_cluster.await_whole()


# ---- masters that change ----

def claim_until(drive, event, user, gen, code, seconds=60):
    """Recovery as the engine will do it: whoever is told FENCED or STALE installs the next gen."""
    until = time.monotonic() + seconds
    while True:
        answer = drive.claim(event, user, gen=gen)
        if answer.get("code") == code:
            return answer
        assert time.monotonic() < until, answer


def test_a_failover_in_good_order(redis_cluster, drives, event):
    """The new master lacks the script and is fenced; the old one says READONLY to a connection that
    is allowed to read from replicas, MOVED to any other."""
    drive, reader = drives(refresh_ms=600_000), drives(user="admin", refresh_ms=600_000)
    drive.install(event, stock=3)
    assert drive.claim(event, "u1")["code"] == "WIN"
    assert reader.claim(event, "u1")["code"] == "HAVE"
    assert reader.one("call", key(event), "READONLY")["reply"] == "OK"
    new, _ = redis_cluster.failover(key(event))
    new("SCRIPT", "FLUSH")
    # The old master runs the script as a replica, up to its first write.
    write = ("call", key(event), "EVAL", "return redis.call('HSET', KEYS[1], 'seen', 1)", 1, key(event))
    assert reader.one(*write)["reply"] == 1
    assert reader.count("readonly") >= 1
    texts = drive.count("texts")
    assert claim_until(drive, event, "u1", 1, "HAVE")["serial"] == 1
    assert drive.count("texts") > texts and drive.count("noscript") >= 1
    assert drive.claim(event, "u2")["code"] == "FENCED"
    assert drive.install(event, gen=2, stock=3, holders=[("u1", 1)])["code"] == "DONE"
    assert drive.claim(event, "u2", gen=2)["serial"] == 2
    redis_cluster.await_whole()


def test_a_master_is_killed(redis_cluster, drive, event):
    """Claims that are under way end, once its replica has taken over; nobody has to ask anew."""
    drive.install(event, stock=50)
    assert drive.claim(event, "u0")["code"] == "WIN"
    old = redis_cluster.master_of(key(event))
    replica = redis_cluster.replica_of(old)
    wait_until(lambda: replica.info("master_link_status") == "up", "a replica that follows")
    old.kill()
    lines = drive.send(*[("claim", event, f"u{i}", "c", 1) for i in range(20)])
    wait_until(lambda: replica.cluster_info("cluster_state") == "ok" and replica.is_master(),
               "a failover", 60)
    answers = drive.take(lines)
    assert {answer["end"] for answer in answers} == {"REPLIED"}
    assert {answer["code"] for answer in answers[1:]} == {"FENCED"}
    assert drive.install(event, gen=2, stock=50)["code"] == "DONE"
    assert drive.claim(event, "u1", gen=2)["serial"] == 1
    old.start()
    redis_cluster.await_whole()


def test_a_node_that_stands_still(drives, shard, event):
    """A try ends, and what may have run is told so: repeated only when the request allows it."""
    drive = drives(try_ms=300, deadline_ms=30_000)
    hasty = drives(try_ms=5000, deadline_ms=300)
    for one in (drive, hasty):
        assert one.claim(event, "u")["code"] == "NO_STATE"
    # Shorter than cluster-node-timeout, so that the node stays master.
    shard.stop()
    try:
        once, again = drive.send(("once", key(event), "HINCRBY", key(event), "n", 1),
                                 ("claim", event, "u", "c", 1))
        late = hasty.one("claim", event, "u", "c", 1)
        lost = drive.take([once])[0]
    finally:
        shard.resume()
    assert (lost["end"], lost["may_have_run"], lost["may_retry"]) == ("LOST", True, True)
    assert (late["end"], late["may_have_run"], late["may_retry"]) == ("LATE", True, True)
    assert drive.take([again])[0]["end"] == "REPLIED"
    assert drive.count("time_outs") >= 1
    # The late reply of a command that nobody waits for any more is not taken for the next one's.
    assert hasty.one("state")["time_outs"] == 0
    wait_until(lambda: hasty.one("call", key(event), "TYPE", key(event)).get("reply") is not None,
               "an answer")
    assert hasty.one("call", "coupon:x", "TYPE", "coupon:x")["reply"] == "none"


def test_connections_that_are_cut(redis_cluster, drives, shard, event):
    drive = drives(user="admin")
    drive.install(event, stock=5)
    blocked, = drive.send(("once", key(event), "BLPOP", key(event, "nothing"), 0))
    wait_until(lambda: shard.info("blocked_clients") == "1", "a blocked client")
    for node in redis_cluster.masters():
        node("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    lost = drive.take([blocked])[0]
    assert (lost["end"], lost["may_have_run"]) == ("LOST", True)
    assert drive.claim(event, "u")["code"] == "WIN"
    assert drive.count("lost") >= 1


# ---- who may come in ----

def test_the_user_of_claims_may_do_no_more(drive):
    for words in (("SET", "coupon:x", "y"), ("GET", "other"), ("DEL", "other"), ("CONFIG", "GET", "*"),
                  ("FLUSHALL",), ("SCRIPT", "FLUSH"), ("KEYS", "*")):
        refused = drive.one("call", "other", *words)
        assert refused["end"] == "REFUSED" and refused["error"].startswith("NOPERM"), refused
        assert not refused["may_retry"]


def test_a_wrong_password_is_named(drives, event):
    drive = drives(password="wrong", deadline_ms=500)
    late = drive.claim(event, "u")
    assert (late["end"], late["may_have_run"]) == ("LATE", False)
    assert "WRONGPASS" in drive.state()["problem"]


def test_nobody_at_the_seeds(drives, event):
    port, = free_ports(1)
    drive = drives(seeds=f"127.0.0.1:{port}", deadline_ms=300)
    late = drive.claim(event, "u")
    assert (late["end"], late["may_have_run"], late["may_retry"]) == ("LATE", False, True)
    problem = drive.state()["problem"]
    assert problem.startswith(f"127.0.0.1:{port}: ") and "refused" in problem


@pytest.mark.parametrize("seeds", ["nowhere.invalid:1", "127.0.0.1", "127.0.0.1:0x7", ""])
def test_a_seed_that_is_none_is_named(seeds):
    done = subprocess.run([str(DRIVE), seeds], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and f'"{seeds}"' in done.stderr


def test_files_of_tls_that_are_none_are_named(tmp_path):
    good, other = Certificates(tmp_path, "good"), Certificates(tmp_path, "other")
    for files, named in (({"ca": "/nowhere.pem"}, "/nowhere.pem"),
                         ({"ca": good.ca, "cert": good.key, "key": good.key}, good.key),
                         ({"ca": good.ca, "cert": good.cert, "key": other.key}, other.key)):
        words = [f"{name}={value}" for name, value in files.items()]
        done = subprocess.run([str(DRIVE), "127.0.0.1:1", *words], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 1 and str(named) in done.stderr, done


@pytest.fixture(scope="module")
def tls_cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis-tls")
    cluster = RedisCluster(folder, replicas=0, certificates=Certificates(folder))
    try:
        yield cluster.start()
    finally:
        cluster.end()


def test_tls_and_a_user(tls_cluster, drives, tmp_path, event):
    drive = drives(tls_cluster)
    assert drive.install(event, stock=300)["code"] == "DONE"
    answers = drive.ask(*[("claim", event, f"u{i}", "c" * 60, 1) for i in range(400)])
    assert sorted(answer["serial"] for answer in answers if answer["code"] == "WIN") == \
        list(range(1, 301))
    stranger = Certificates(tmp_path, "stranger")
    distrusting = drives(tls_cluster, deadline_ms=500, ca=stranger.ca,
                         cert=tls_cluster.certificates.cert, key=tls_cluster.certificates.key)
    assert distrusting.claim(event, "u")["end"] == "LATE"
    assert "certificate verify failed" in distrusting.state()["problem"]
    unknown = drives(tls_cluster, deadline_ms=500, ca=tls_cluster.certificates.ca,
                     cert=stranger.cert, key=stranger.key)
    assert unknown.claim(event, "u")["end"] == "LATE"
    assert unknown.state()["problem"] != ""
    assert SLOTS == drive.state()["covered"]
