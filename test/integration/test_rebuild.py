# SPDX-License-Identifier: Apache-2.0
"""`coupond verify --rebuild`: what was lost is made anew from what is left, and who was told a coupon has
the same one; what would do harm is refused, with nothing changed.
"""
import os
import subprocess

import pytest
from consume import place_of
from deployment import SECONDS, ask
from harness import COUPOND, run, wait_until
from rebuild import Keeper

pytestmark = [pytest.mark.redis, pytest.mark.kafka, pytest.mark.mariadb, pytest.mark.failpoints]

TABLES = {"events": "event_id", "coupons": "event_id, serial", "user_coupons": "event_id, serial",
          "user_coupons_history": "event_id, serial, round", "rejects": "log_off"}


def dump(database):
    """All rows, but when a reject was noted."""
    columns = {"rejects": "log_off, state, reason, error, logged_ms, HEX(raw), operator, note"}
    return {table: database.ask(f"SELECT {columns.get(table, '*')} FROM {table} ORDER BY {order}")
            for table, order in TABLES.items()}


def said(done):
    return [line.removeprefix("rebuild   ") for line in done.stdout.splitlines()]


def kill_at(lost, name, what, *words, user="coupond_schema"):
    """The rebuild dies as kill -9 does."""
    done = subprocess.run([COUPOND, "verify", *lost.flags(user), "--rebuild", what, "--recheck-after", "100ms",
                           *map(str, words)], env=dict(os.environ, COUPOND_FAILPOINT=name), check=False,
                          capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == -9 or done.returncode == 137, (done.returncode, done.stdout, done.stderr)


# ---- Redis ----

def test_redis_is_made_anew(lost):
    """Flushed on every node, with a server that nobody asks."""
    server = lost.start()
    keeper, other = Keeper(lost.event, 30), Keeper(lost.event + "-b", 5)
    server.create(lost.event, 30)
    server.create(other.event, 5)
    server.create(lost.event + "-c", 5)
    keeper.claim(server, *(f"u-{n}" for n in range(12)))
    other.claim(server, "ada")
    server.event("return", lost.event, "--user", "u-3", "--reason", "test")
    returned = keeper.coupons.pop("u-3")
    server.event("close", lost.event + "-c", "--reason", "test")
    server.event("pause", other.event, "--reason", "test")
    lost.consume()
    lost.await_recorded()
    lost.flush_redis()
    lines = said(lost.rebuild("redis"))
    assert lines[-1] == "redis: 2 events put into it, 1 closed ones left alone, 0 not done"
    assert any(line.startswith(f"{lost.event}: fenced as gen ") and line.endswith("11 holders installed")
               for line in lines), lines
    lost.await_recorded()
    lost.verify("--audit", *lost.audits)
    gen = int(lost.redis.master_of(lost.deployment.key)("HGET", lost.deployment.key, "gen"))
    keeper.hold(server)
    assert ask(server, "u-3", lost.event).json["success"] is False
    serials = keeper.sell_out(server)
    assert serials == list(range(1, 31))
    assert keeper.coupons["rest-0"][0] == returned[0] and keeper.coupons["rest-0"][1] != returned[1]
    assert int(lost.redis.master_of(lost.deployment.key)("HGET", lost.deployment.key, "gen")) == gen
    server.event("resume", other.event, "--reason", "test")
    other.hold(server)
    other.sell_out(server)
    # Again, without need, and of one event alone.
    assert said(lost.rebuild("redis", lost.event))[-1].startswith("redis: 1 events put into it, 0 closed")
    lost.await_recorded()
    lost.verify("--audit", *lost.audits)


def test_redis_killed_in_between(lost):
    """Between FENCE and install: the next run, or the next claim, makes it good."""
    server = lost.start()
    keeper = Keeper(lost.event, 10)
    server.create(lost.event, 10)
    keeper.claim(server, "a", "b", "c")
    lost.flush_redis()
    kill_at(lost, "rebuild_fenced", "redis")
    assert lost.redis.master_of(lost.deployment.key)("EXISTS", lost.deployment.key) == 0
    lost.rebuild("redis")
    lost.flush_redis()
    kill_at(lost, "rebuild_fenced", "redis")
    keeper.hold(server)
    assert keeper.sell_out(server) == list(range(1, 11))


def test_redis_refused(lost):
    server = lost.start()
    server.create(lost.event, 10)
    server.create(lost.event + "-b", 10)
    ask(server, "ada", lost.event)
    node, key = lost.redis.master_of(lost.deployment.key), lost.deployment.key
    end, gen = lost.end_of_log(), int(node("HGET", key, "gen"))
    node("HINCRBY", key, "gen", 50)
    told = lost.refused("redis")
    assert f"refused, nothing was changed: event {lost.event}: Redis is at gen {gen + 50}, ahead of the log" in told
    assert lost.end_of_log() == end
    node("HINCRBY", key, "gen", -50)
    node("SET", key[:-1] + "f", "x")
    assert "its key f in Redis is not ours" in lost.refused("redis")
    node("DEL", key[:-1] + "f")
    assert "the log has no event nobody" in lost.refused("redis", "nobody")
    assert lost.end_of_log() == end
    assert "says where Redis is" in lost.rebuild("redis", status=2, redis=False).stderr
    assert "is for --mode cluster" in run("verify", "--rebuild", "redis", status=2).stderr
    assert "one of --rebuild and --repair" in lost.rebuild("redis", "--repair", status=2).stderr
    lost.rebuild("redis")


# ---- the database ----

@pytest.fixture
def recorded(lost):
    """(lost, keeper) with an event of 3000, 2500 of them issued, returns, a restock, and rejects of all kinds."""
    server = lost.start()
    keeper = Keeper(lost.event, 3000)
    server.create(lost.event, 2900)
    server.create(lost.event + "-b", 5)
    server.event("restock", lost.event, "--to", "3000", "--reason", "test")
    with server.client() as client:
        for n in range(2500):
            wait_until(lambda n=n: client.claim(f"u-{n}", lost.event).status == 200, "an answer", SECONDS)
    server.event("return", lost.event, "--user", "u-7", "--reason", "test")
    server.event("close", lost.event + "-b", "--reason", "test")
    lost.topic.produce(b"junk", b"more junk")
    lost.consume()
    lost.await_recorded()
    run("dlt", "resolve", lost.end_of_log() - 1, "--operator", "ops", "--reason", "looked at",
        *lost.database.flags(), *lost.topic.flags)
    lost.consumers[0].stop()
    return lost, keeper


def test_database_is_made_anew(recorded):
    lost, _ = recorded
    before = dump(lost.database)
    assert [row[1] for row in before["rejects"]] == ["dead", "resolved"]
    lost.database.run("DELETE FROM user_coupons WHERE serial % 3 = 0; UPDATE events SET taken = 1")
    lines = said(lost.rebuild("database"))
    assert lines[-1].startswith(f"database: done: {lost.end_of_log()} records to offset {lost.end_of_log()}"), lines
    assert dump(lost.database) == before
    lost.verify_but_dead = run("verify", *lost.flags("coupond_reader"), "--recheck-after", "0", status=1).stdout
    assert "1 findings" in lost.verify_but_dead and "R10" in lost.verify_but_dead
    # Dropped, and its tables made.
    lost.database.drop()
    lost.database.prepare()
    lost.rebuild("database")
    after = dump(lost.database)
    assert {table: rows for table, rows in after.items() if table != "rejects"} == \
           {table: rows for table, rows in before.items() if table != "rejects"}
    assert [row[1] for row in after["rejects"]] == ["dead", "dead"]
    # A consumer goes on from there.
    consumer = lost.consume()
    ask(lost.deployment.made[0], "later", lost.event)
    lost.await_recorded()
    consumer.stop()
    assert lost.database.number("SELECT COUNT(*) FROM user_coupons WHERE user_id = 'later'") == 1


def test_database_killed_in_between(recorded):
    """An ordinary consumer goes on from what is left, or another rebuild begins anew."""
    lost, _ = recorded
    before = dump(lost.database)
    places = ["rebuild_before_emptied", "rebuild_emptied", "consume_taken_over", "consume_place_moved:2",
              "consume_before_commit:3", "consume_after_commit:3"]
    for n, name in enumerate(places):
        kill_at(lost, name, "database")
        if name == "rebuild_before_emptied":
            assert dump(lost.database) == before
        elif name == "consume_after_commit:3":
            assert 1 < place_of(lost.database) < lost.end_of_log()
        if n % 2:
            consumer = lost.consume()
            lost.await_recorded()
            consumer.stop()
        else:
            lost.rebuild("database")
        assert dump(lost.database) == before, name


def test_database_refused(recorded):
    lost, _ = recorded
    before = dump(lost.database)
    consumer = lost.consume()
    consumer.await_state("ok")
    assert "1 consumers of the group coupond are alive" in lost.refused("database")
    consumer.stop()
    assert "denied" in lost.refused("database", user="coupond_consumer")
    lost.database.run("SET GLOBAL read_only = 1")
    try:
        # A user who may write all the same is none of those.
        assert "read-only" in lost.refused("database")
    finally:
        lost.database.run("SET GLOBAL read_only = 0")
    lost.database.run("UPDATE log_offsets SET next_off = next_off + 10")
    assert "it is the log that has lost something" in lost.refused("database")
    lost.database.run("UPDATE log_offsets SET next_off = next_off - 10, last_crc = last_crc ^ 1")
    assert "where topic" in lost.refused("database")
    lost.database.run("UPDATE log_offsets SET last_crc = last_crc ^ 1")
    key = next(lost.keys.glob("*.key"))
    away = key.rename(key.with_suffix(".away"))
    assert f"no key of the codes of event {lost.event}" in lost.refused("database")
    away.rename(key)
    assert "unexpected word more" in lost.rebuild("database", "more", status=2).stderr
    assert dump(lost.database) == before
    lost.kafka.delete_records(lost.topic.name, 5)
    assert "begins at offset 5" in lost.refused("database")
    assert dump(lost.database) == before


def test_a_consumer_that_comes_takes_over(recorded):
    """The epoch is another one's: the rebuild ends, and nothing is written twice."""
    lost, _ = recorded
    before = dump(lost.database)
    with subprocess.Popen([COUPOND, "verify", *lost.flags("coupond_schema"), "--rebuild", "database"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as rebuild:
        wait_until(lambda: place_of(lost.database) < lost.end_of_log(), "the begin", SECONDS)
        lost.database.run("UPDATE log_offsets SET owner_epoch = owner_epoch + 1, owner = 'another'")
        _, stderr = rebuild.communicate(timeout=SECONDS)
    assert rebuild.returncode == 1 and "a consumer has taken over at offset" in stderr, stderr
    consumer = lost.consume()
    lost.await_recorded()
    consumer.stop()
    assert dump(lost.database) == before


# ---- the log ----

class Crash:
    """An event of which a consumer has recorded a part, others only servers and Redis know; then all of them
    are stopped."""

    def __init__(self, lost, stock=40):
        self.lost, self.keeper = lost, Keeper(lost.event, stock)
        self.other = Keeper(lost.event + "-b", 5)
        self.server = lost.start()
        self.server.create(lost.event, stock, code={"prefix": "WINTER-", "alphabet": "0123456789", "length": 25})
        self.server.create(self.other.event, 4)
        self.server.create(lost.event + "-c", 7)
        self.keeper.claim(self.server, *(f"u-{n}" for n in range(20)))
        self.other.claim(self.server, "ada", "bob")
        self.server.event("return", lost.event, "--user", "u-3", "--reason", "too late")
        self.returned = self.keeper.coupons.pop("u-3")
        self.keeper.claim(self.server, "after")
        self.server.event("restock", self.other.event, "--to", "5", "--reason", "test")
        self.server.event("pause", self.other.event, "--reason", "test")
        self.server.event("close", lost.event + "-c", "--reason", "test")
        consumer = lost.consume()
        lost.await_recorded()
        consumer.stop()

    def claim_unrecorded(self):
        """What the database does not come to know."""
        self.keeper.claim(self.server, *(f"late-{n}" for n in range(6)))
        return self

    def stop(self):
        self.lost.stop_servers()
        return self

    def check(self, reserved=0):
        """Consumers and servers come back: everything agrees, and everybody has what was told."""
        lost = self.lost
        self.server.restart()
        self.keeper.hold(self.server)
        assert ask(self.server, "u-3", lost.event).json["success"] is False
        assert self.server.status_of(lost.event)["total_participants"] == len(self.keeper.coupons) + reserved
        serials = self.keeper.sell_out(self.server, barred=reserved)
        assert len(serials) == self.keeper.stock - reserved
        assert all(code.startswith("WINTER-") for _, code in self.keeper.coupons.values())
        assert self.returned[1] not in {code for _, code in self.keeper.coupons.values()}
        self.server.event("resume", self.other.event, "--reason", "test")
        self.other.hold(self.server)
        self.other.sell_out(self.server)
        assert self.server.status_of(lost.event + "-c")["status"] == "ended"
        consumer = lost.consume()
        lost.await_recorded()
        lost.rebuild("redis")
        lost.await_recorded()
        consumer.stop()
        lost.verify("--audit", *lost.audits)
        codes = lost.database.ask(f"SELECT user_id, serial, code FROM user_coupons WHERE event_id = '{lost.event}'")
        for user, serial, code in codes:
            if user in self.keeper.coupons:
                assert self.keeper.coupons[user] == (int(serial), code)
        assert len(codes) == self.keeper.stock


def test_all_of_kafka_is_lost(lost):
    crash = Crash(lost).claim_unrecorded()
    crash.stop()
    lost.kafka.lose()
    lines = said(lost.rebuild("log", "--audit", *lost.audits))
    assert "23 coupons of the database, 6 that only audits know, 0 that only Redis has" in lines[0], lines
    assert lines[-1].startswith("log: done: start consumers and servers"), lines
    crash.check()


def test_redis_is_lost_too(lost):
    """Database and audits say all that was told."""
    crash = Crash(lost).claim_unrecorded()
    crash.stop()
    lost.kafka.delete_topic(lost.topic.name)
    lost.flush_redis()
    lost.rebuild("log", "--audit", *lost.audits)
    crash.check()


def test_reservations_are_kept(lost):
    """No audit is left: what Redis has may have been told, and somebody's reservation that never came into
    the log is issued with it."""
    crash = Crash(lost).claim_unrecorded()
    node, key = lost.redis.master_of(lost.deployment.key), lost.deployment.key
    crash.stop()
    serial = node("HINCRBY", key, "next", 1) - 1
    gen, ms = node("HGET", key, "gen"), node("HGET", key, "tl")
    node("HSET", key[:-1] + "u", "ghost", f"{gen} {serial} {ms} 99 c")
    lost.kafka.delete_topic(lost.topic.name)
    lines = said(lost.rebuild("log"))
    assert "0 that only audits know, 7 that only Redis has" in lines[0], lines
    crash.check(reserved=1)


def test_control_records_that_were_not_recorded(lost):
    """Redis is at a later generation than the database: what it says of the event is newer."""
    crash = Crash(lost).claim_unrecorded()
    crash.server.event("return", lost.event, "--user", "u-5", "--reason", "nobody recorded it")
    crash.server.event("restock", lost.event, "--to", "44", "--reason", "nobody recorded it")
    crash.keeper.stock = 44
    gone = crash.keeper.coupons.pop("u-5")
    crash.keeper.claim(crash.server, "heir")
    assert crash.keeper.coupons["heir"][0] == gone[0] and crash.keeper.coupons["heir"][1] != gone[1]
    crash.stop()
    lost.kafka.delete_topic(lost.topic.name)
    lost.rebuild("log")
    crash.check()


def test_log_killed_in_between(lost):
    crash = Crash(lost).claim_unrecorded()
    crash.stop()
    lost.kafka.delete_topic(lost.topic.name)
    places = ["rebuild_produced:1", "rebuild_produced:9", "rebuild_log_written", "rebuild_before_emptied",
              "rebuild_emptied", "consume_before_commit"]
    for place in places:
        kill_at(lost, place, "log", "--audit", *lost.audits)
        if place == "rebuild_log_written":  # the same once more, with a part of it in the topic
            planned = lost.topic.values()
            lost.kafka.delete_topic(lost.topic.name)
            kill_at(lost, "rebuild_topic_made", "log", "--audit", *lost.audits)
            lost.topic.produce(*planned[:9])
            kill_at(lost, place, "log", "--audit", *lost.audits)
            assert lost.topic.values() == planned
    lines = said(lost.rebuild("log", "--audit", *lost.audits))
    assert "the database follows it already" in lines[0], lines
    crash.check()


def test_log_refused(lost, tmp_path):
    crash = Crash(lost).claim_unrecorded()
    before, end = dump(lost.database), lost.end_of_log()
    consumer = lost.consume()
    consumer.await_state("ok")
    assert "consumers of the group coupond are alive" in lost.refused("log")
    lost.await_recorded()
    consumer.stop()
    crash.keeper.claim(crash.server, "unrecorded")
    before, end = dump(lost.database), lost.end_of_log()
    assert "so this log is not lost" in lost.refused("log")
    assert lost.end_of_log() == end
    # A server that is at work while Redis is looked at.
    crash.stop()
    lost.kafka.delete_topic(lost.topic.name)
    node, key = lost.redis.master_of(lost.deployment.key), lost.deployment.key
    with subprocess.Popen([COUPOND, "verify", *lost.flags("coupond_schema"), "--rebuild", "log", "--recheck-after",
                           "20s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as rebuild:
        while rebuild.poll() is None:
            node("HINCRBY", key, "next", 1)
            node("HINCRBY", key, "next", 1)
            try:
                rebuild.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
        assert rebuild.returncode == 1 and "a server is alive" in rebuild.stderr.read()
    # Two users with one serial; one user with two.
    audit = tmp_path / "lie"
    holder, (serial, _) = next(iter(crash.keeper.coupons.items()))
    for line, words in ((f"99 {lost.event} {serial} eve", f"serial {serial}: user eve was told it by an audit, and it "
                         f"is user {holder}'s"),
                        (f"99 {lost.event} 39 {holder}", f"user {holder} was told it by an audit, who has serial "
                         f"{serial}"),
                        ("99 unknown 1 eve", "event unknown: somebody was told a coupon of it")):
        audit.write_text(f"coupond-audit 1 {lost.topic.name}\n{line}\n")
        told = lost.refused("log", "--audit", audit, redis=False)
        assert "refused, nothing was changed: " in told and words in told, told
    audit.write_text("coupond-audit 1 another\n")
    assert "is of the log another" in lost.refused("log", "--audit", audit, redis=False)
    # Another key.
    key = next(lost.keys.glob("*.key"))
    good = key.read_text()
    key.write_text("ab" * 32 + "\n")
    assert "gives serial" in lost.refused("log", redis=False)
    key.write_text(good)
    # Dead letters that nobody has seen to.
    lost.database.run("INSERT INTO rejects VALUES (9999, 'dead', 'bad_record', '', 0, 0, '', NULL, NULL, NULL)")
    assert "1 dead letters wait" in lost.refused("log", redis=False)
    lost.database.run("DELETE FROM rejects WHERE log_off = 9999")
    assert dump(lost.database) == before
    # A stranger's record behind what was written.
    kill_at(lost, "rebuild_log_written", "log")
    lost.topic.produce(b"junk")
    assert f"what is at offset {lost.end_of_log() - 1} is not what these sources say" in lost.refused("log")
    lost.kafka.delete_topic(lost.topic.name)
    kill_at(lost, "rebuild_topic_made", "log")
    lost.topic.produce(b"junk")
    assert "has 1 records that no rebuild wrote" in lost.refused("log")
    assert dump(lost.database) == before
    lost.database.drop()
    lost.database.prepare()
    lost.kafka.delete_topic(lost.topic.name)
    assert "there is nothing to make a log of" in lost.refused("log")
