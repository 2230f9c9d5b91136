# SPDX-License-Identifier: Apache-2.0
"""The consumer between real brokers and a real database: whatever ends, stops, fails or comes twice,
the rows are in the end those of the log, each once.
"""
import re
import time

import pytest
from consume import Consumer, Topic, check_rows, dlt, place_of, rows_of
from harness import READY_SECONDS, count, wait_until
from mariadb import MariaDB, Replicated
from records import Story, close, pause, record, restock, resume, win

pytestmark = [pytest.mark.mariadb, pytest.mark.kafka]


@pytest.fixture
def consumer(consumers, database):
    return consumers(database).start()


# ---- in good order ----

def test_rows_of_every_kind(topic, consumer, database):
    story = Story("EV", 400).wins(300, duplicates=7).fence().wins(50).give_back(3).give_back(77)
    other = Story("other-event", 5).wins(5)
    topic.produce(*story.records, *other.records)
    consumer.await_all()
    check_rows(database, story, other)
    story.wins(2)  # the two that came back, in their next round
    start = len(story.records) - 2
    topic.produce(*story.records[start:])
    consumer.await_all()
    check_rows(database, story, other)
    assert sorted(database.ask("SELECT serial, round FROM user_coupons WHERE round > 0")) == [
        ("3", "1"), ("77", "1")]
    assert sorted(database.ask("SELECT serial, operator, reason FROM user_coupons_history")) == [
        ("3", "ops", "너무 비쌈 '\\"), ("77", "ops", "너무 비쌈 '\\")]
    assert database.ask("SELECT state, reason FROM rejects") == [("void", "void_gen")]
    assert consumer.metric('coupond_consume_rejects_total{kind="void"}') == 1
    consumer.stop()


def test_restock_and_states(topic, consumer, database):
    story = Story("EV", 10).wins(4).give_back(4)
    topic.produce(*story.records, restock("EV", 3), restock("EV", 12), pause("EV"))
    consumer.await_all()
    assert database.ask("SELECT total, taken, state, gen, ver FROM events") == [
        ("12", "3", "paused", "1", "5")]
    assert database.ask("SELECT COUNT(*), SUM(round) FROM coupons") == [("12", "1")]
    assert database.ask("SELECT round FROM coupons WHERE serial = 4") == [("1",)]
    topic.produce(resume("EV"), close("EV", ms=5000), pause("EV"))
    consumer.await_all()
    assert database.ask("SELECT state, start_ms, end_ms FROM events") == [("closed", "NULL", "5000")]


def test_a_large_event(topic, consumer, database):
    """More coupons than one statement makes, more wins than one batch holds."""
    story = Story("EV", 3500).wins(1700)
    topic.produce(*story.records)
    consumer.await_all()
    check_rows(database, story)
    assert consumer.metric("coupond_consume_batch_records_count") >= 4


def test_goes_on_where_it_was(topic, consumer, database):
    story = Story("EV", 100).wins(30)
    topic.produce(*story.records)
    consumer.await_all()
    consumer.stop()
    before = len(story.records)
    story.wins(30, prefix="v")
    topic.produce(*story.records[before:])
    consumer.start()
    consumer.await_all()
    check_rows(database, story)
    assert consumer.metric("coupond_consume_take_overs_total") == 1


def test_pages(topic, consumer, database):
    topic.produce(*Story("EV", 3).wins(3).records)
    consumer.await_all()
    wait_until(lambda: consumer.page("/readyz")[0] == 200, "readiness")
    health = consumer.health()
    assert health["status"] == "ok" and health["consumer"] == {"state": "ok", "stopped": "none"}
    assert health["log"]["applied_offset"] == 4 and health["log"]["topic"] == topic.name
    assert consumer.page("/livez")[0] == 200
    assert consumer.page("/nothing")[0] == 404
    assert consumer.page("/health", "POST")[0] == 405
    assert consumer.page("/health", "HEAD") == (200, "")
    assert consumer.metric("coupond_consume_applied_offset") == 4
    wait_until(lambda: consumer.metric("coupond_consume_lag_records") == 0, "no lag")
    assert consumer.metric("coupond_consume_changes_total") == 4
    assert consumer.metric('coupond_consume_state{state="ok"}') == 1
    assert re.search(r'^coupond_consume_view_info{offset="4",digest="[0-9a-f]{16}"} 1$',
                     consumer.page("/metrics")[1], re.M)


def test_verifies_itself(topic, consumers, database):
    """What somebody changes by hand is found, told, and forgotten once it is mended."""
    consumer = consumers(database, "--verify-every", "200ms").start()
    story = Story("EV", 100).wins(40).fence().wins(2)
    topic.produce(*story.records)
    consumer.await_all()
    def passes():
        return consumer.metric("coupond_consume_verify_passes_total")
    before = passes()
    wait_until(lambda: passes() >= before + 3, "passes", READY_SECONDS)
    assert consumer.health()["verify"]["status"] == "ok"
    database.run("UPDATE user_coupons SET claimed_ms = 7 WHERE serial = 9")
    wait_until(lambda: consumer.metric('coupond_consume_verify_findings{check="R1"}') == 1,
               "a finding", READY_SECONDS)
    assert consumer.health()["status"] == "degraded"
    assert "event=finding" in consumer.stderr() and "claimed_ms is 7" in consumer.stderr()
    database.run("UPDATE user_coupons SET claimed_ms = 1000 WHERE serial = 9")
    wait_until(lambda: consumer.health()["verify"]["status"] == "ok", "no finding", READY_SECONDS)
    assert consumer.metric("coupond_consume_verify_failures_total") == 0
    consumer.stop()


# ---- dead letters ----

POISON = {
    "bad_record": [b"no record", win("EV", 1, "u")[:-8], win("EV", 1, "u") + bytes(8), b"x" * 5000,
                   win("EV", 1, "u").replace(b"EV", b"EW")],
    "unknown_event": [win("NOBODY", 1, "u")],
    "misplaced": [record("mark", None)],
}


def test_poison(topic, consumer, database):
    """Each goes to the dead letters once, and nothing that is good is held up."""
    poison = [(reason, value) for reason, values in POISON.items() for value in values]
    story = Story("EV", 20).wins(2)
    topic.produce(*story.records)
    for reason, value in poison:
        before = len(story.records)
        story.wins(1)
        topic.produce(value, *story.records[before:])
    topic.produce_empty()
    consumer.await_all()
    check_rows(database, story)
    reasons = [reason for reason, _ in poison] + ["bad_record"]
    assert database.ask("SELECT state, reason FROM rejects ORDER BY log_off") == [
        ("dead", reason) for reason in reasons]
    assert database.ask("SELECT HEX(raw) FROM rejects ORDER BY log_off") == [
        (value.hex().upper(),) for _, value in poison] + [("",)]
    letters = topic.dead_letters()
    assert [headers["reason"] for headers, _ in letters] == reasons
    assert [value for _, value in letters][:-1] == [value for _, value in poison]
    assert letters[0][0]["topic"] == topic.name and letters[0][0]["offset"] == "3"
    assert letters[0][0]["record_version"] == "1" and letters[0][0]["attempts"] == "1"
    assert consumer.metric('coupond_consume_rejects_total{kind="dead"}') == len(reasons)


def test_dead_letters_cannot_be_sent(kafka, topic, consumers, database):
    """Their topic takes nothing: nothing is recorded past them, and nothing is lost."""
    consumer = consumers(database).start()
    kafka.configure_topic(f"{topic.name}.dlt", max_message_bytes=1)
    story = Story("EV", 20).wins(2)
    topic.produce(*story.records, b"junk")
    consumer.await_state("waiting")
    wait_until(lambda: consumer.metric('coupond_consume_retries_total{class="dead_letters"}') >= 2,
               "tries", READY_SECONDS)
    assert place_of(database) == 0
    kafka.configure_topic(f"{topic.name}.dlt", max_message_bytes=1048588)
    consumer.await_all()
    check_rows(database, story)
    assert [value for _, value in topic.dead_letters()][-1] == b"junk"


def test_dlt_command(topic, consumer, database):
    early = win("EV", 1, "early")
    topic.produce(early, b"junk", *Story("EV", 5).records)
    consumer.await_all()
    listed = dlt(topic, database, "list").stdout.splitlines()
    assert len(listed) == 3 and "unknown_event" in listed[1] and "bad_record" in listed[2]
    assert early.hex()[:2] in dlt(topic, database, "show", 0).stdout
    assert "nothing was rejected" in dlt(topic, database, "show", 7, status=1).stderr
    who = ["--operator", "ops", "--reason", "came too early"]
    assert "--reason" in dlt(topic, database, "replay", 0, "--operator", "ops", status=2).stderr
    assert "cannot read it" in dlt(topic, database, "replay", 1, *who, status=1).stderr
    assert "replayed" in dlt(topic, database, "replay", 0, *who).stdout
    topic.count += 1
    consumer.await_all()
    assert rows_of(database, "EV") == [("1", "early")]
    assert "already" in dlt(topic, database, "replay", 0, *who).stdout  # and nothing is produced
    assert "resolved" in dlt(topic, database, "resolve", 1, *who).stdout
    assert "already" in dlt(topic, database, "resolve", 1, *who).stdout
    assert dlt(topic, database, "list").stdout == "no dead letter waits\n"
    assert len(dlt(topic, database, "list", "--all").stdout.splitlines()) == 3
    assert database.ask("SELECT state, operator, note FROM rejects ORDER BY log_off") == [
        ("replayed", "ops", "came too early"), ("resolved", "ops", "came too early")]
    time.sleep(0.3)
    assert place_of(database) == topic.count
    for words in ([], ["list", "1"], ["show"], ["show", "x"], ["burn", "1"]):
        dlt(topic, database, *words, status=2)


def test_newer_version_halts(topic, consumers, database):
    """Deploy: what is before it is recorded, nothing of it or behind it."""
    story = Story("EV", 10).wins(3)
    newer = record("win", "EV", b"of tomorrow", version=2)
    consumer = consumers(database).start()
    topic.produce(*story.records, newer, win("EV", 9, "behind"))
    consumer.await_state("stopped")
    assert place_of(database) == 4
    check_rows(database, story)
    health = consumer.health()
    assert health["status"] == "down" and health["consumer"]["stopped"] == "newer_version"
    assert consumer.page("/health")[0] == consumer.page("/readyz")[0] == 503
    assert "deploy" in consumer.stderr()
    assert consumer.metric('coupond_consume_stopped{reason="newer_version"}') == 1
    consumer.stop(status=70)
    assert database.ask("SELECT * FROM rejects") == []


# ---- disagreement ----

def test_conflict_stops_and_is_never_skipped(topic, consumer, database):
    story = Story("EV", 10).wins(3)
    topic.produce(*story.records)
    consumer.await_all()
    database.run("INSERT INTO user_coupons(event_id, serial, user_id, round, gen, claimed_ms, log_off) "
                 "VALUES ('EV', 5, 'a-stranger', 0, 1, 0, 999)")
    topic.produce(win("EV", 4, "u4"), win("EV", 5, "u5"), win("EV", 6, "u6"))
    consumer.await_state("stopped")
    assert place_of(database) == 4
    assert ("4", "u4") not in rows_of(database, "EV")
    line = re.search(r"event=consume_stopped reason=conflict .*", consumer.stderr())[0]
    assert "serial 5" in line and "u5" in line and "Duplicate entry" in line
    database.run("DELETE FROM user_coupons WHERE user_id = 'a-stranger'")
    consumer.stop(status=70)
    consumer.start()
    consumer.await_all()
    assert rows_of(database, "EV")[-3:] == [("4", "u4"), ("5", "u5"), ("6", "u6")]


def test_the_row_that_is_there_already(topic, consumer, database):
    """A row of the same serial and user is what was wanted, and counted once."""
    story = Story("EV", 10).wins(3)
    topic.produce(*story.records)
    consumer.await_all()
    consumer.stop()
    database.run("UPDATE log_offsets SET next_off = 3; UPDATE events SET taken = 3")
    database.run(f"UPDATE log_offsets SET last_crc = {crc_of(story.records[2])}")
    consumer.start()
    consumer.await_all()
    check_rows(database, story)
    assert "event=consume_row_by_row" in consumer.stderr()


def crc_of(value):
    return int.from_bytes(value[12:16], "little")


def test_another_log(kafka, topic, consumers, database, tmp_path):
    consumer = consumers(database).start()
    topic.produce(*Story("EV", 10).wins(3).records)
    consumer.await_all()
    consumer.stop()
    database.run("UPDATE log_offsets SET last_crc = last_crc ^ 1")
    consumer.start()
    consumer.await_state("stopped")
    assert consumer.health()["consumer"]["stopped"] == "another_log"
    consumer.stop(status=70)
    other = Topic(kafka.brokers, tmp_path, kafka.replicas, kafka.in_sync)
    stranger = Consumer(tmp_path / "stranger", other, database)
    try:
        stranger.start()
        stranger.await_state("stopped")
        assert f"records the topic {topic.name}" in stranger.stderr()
    finally:
        stranger.end()


# ---- start ----

def test_schema_at_start(topic, consumers, mariadb):
    mariadb.drop()
    mariadb.make_users()
    refused = consumers(mariadb, "--no-schema", "--database-user", "coupond_schema",
                        "--database-password-file", schema_password(mariadb)).spawn()
    assert refused.wait() == 1
    assert "migrations are missing: coupond schema apply" in refused.stderr()
    makes = consumers(mariadb, "--database-user", "coupond_schema", "--database-password-file",
                      schema_password(mariadb)).start()
    story = Story("EV", 5).wins(2)
    topic.produce(*story.records)
    makes.await_all()
    check_rows(mariadb, story)
    mariadb.drop()


def schema_password(database):
    return database.flags("coupond_schema")[-1]


def test_topic_is_checked(topic, consumers, database):
    """One line that names the setting, before anything is recorded."""
    consumers(database).start().stop()  # makes it
    for flags, told in ((["--kafka-flush"], "flush.messages="),
                        (["--kafka-replicas", topic.replicas + 1], f"replicas={topic.replicas} and must"),
                        (["--kafka-min-isr", topic.in_sync + 1], "min.insync.replicas=")):
        refused = consumers(database, *flags).spawn()
        assert refused.wait() == 2
        assert told in refused.stderr() and topic.name in refused.stderr()


def test_options_are_checked(topic, consumers, database, tmp_path):
    for flags, told in ((["--kafka-user", "u"], "--kafka-password-file"),
                        (["--kafka-ca", "/nowhere"], "--kafka-ca"),
                        (["--database", "nonsense"], "--database"),
                        (["--listen", "nonsense"], "--listen")):
        refused = consumers(database, *flags).spawn()
        assert refused.wait() == 2 and told in refused.stderr(), refused.stderr()


def test_wrong_password_ends_it(topic, consumers, database, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(0o600)
    wrong.write_text("no\n")
    consumer = consumers(database, "--database-password-file", wrong).spawn()
    assert consumer.wait() == 1
    assert "Access denied" in consumer.stderr()


# ---- several ----

def test_two_take_turns(topic, consumers, database):
    story = Story("EV", 1000)
    first, second = consumers(database).start(), consumers(database).start()
    produced = 0
    for turn in range(3):
        story.wins(50, prefix=f"t{turn}-")
        topic.produce(*story.records[produced:])
        produced = len(story.records)
        first.await_all()
        owner, other = (first, second) if first.metric("coupond_consume_applied_offset") == \
            topic.count and first.state() == "ok" else (second, first)
        owner.kill()
        wait_until(lambda other=other: other.state() == "ok", "the other one's turn", READY_SECONDS)
        owner.start()
    first.await_all()
    check_rows(database, story)


def test_storm_of_three(topic, consumers, database, dice):
    """They come, die, freeze and go in any order, while records of every kind go on coming."""
    trio = [consumers(database).start() for _ in range(3)]
    story, produced, frozen = Story("EV", 5000), 0, None
    for turn in range(count(8, 40)):
        story.wins(dice.randrange(1, 60), prefix=f"t{turn}-", duplicates=6)
        if dice.random() < 0.3:
            story.fence()
        if dice.random() < 0.3:
            story.give_back(dice.choice(sorted(story.holders)))
        topic.produce(*story.records[produced:])
        produced = len(story.records)
        if frozen:
            frozen.thaw()
            frozen = None
        one = dice.choice(trio)
        what = dice.choice(["kill", "stop", "freeze", "nothing"])
        if what == "kill":
            one.kill()
            one.start()
        elif what == "stop":
            one.stop()
            one.start()
        elif what == "freeze":
            frozen = one
            one.freeze()
        time.sleep(dice.random())
    if frozen:
        frozen.thaw()
    trio[0].await_all()
    check_rows(database, story)
    assert all(one.process.poll() is None and one.state() in ("ok", "idle", "replaying") for one in trio)


def test_everything_twice(topic, consumer, database):
    """Whatever is delivered again changes nothing."""
    story = Story("EV", 60).wins(40).fence().wins(5).give_back(7)
    topic.produce(*[one for one in story.records for _ in range(2)], *story.records)
    consumer.await_all()
    check_rows(database, story)
    assert database.ask("SELECT gen FROM events") == [("2",)]


def test_zombie(topic, consumers, database):
    """Frozen past its time with a batch in hand; another goes on; then it wakes."""
    story = Story("EV", 1000).wins(20)
    first = consumers(database).start()
    topic.produce(*story.records)
    first.await_all()
    second = consumers(database).start()
    owner, other = (first, second) if first.state() == "ok" else (second, first)
    owner.freeze()
    before = len(story.records)
    story.wins(200)
    topic.produce(*story.records[before:])
    other.await_all()
    owner.thaw()
    before = len(story.records)
    story.wins(100)
    topic.produce(*story.records[before:])
    other.await_all()
    check_rows(database, story)
    assert database.number("SELECT owner_epoch FROM log_offsets") >= 2
    assert owner.process.poll() is None


def test_another_epoch_shuts_it_out(topic, consumer, database):
    """Whoever took over in the database alone is believed; it takes over again, with a new epoch."""
    story = Story("EV", 100).wins(5)
    topic.produce(*story.records)
    consumer.await_all()
    database.run("UPDATE log_offsets SET owner_epoch = owner_epoch + 1")
    before = len(story.records)
    story.wins(5)
    topic.produce(*story.records[before:])
    consumer.await_all()
    check_rows(database, story)
    assert consumer.metric('coupond_consume_retries_total{class="lost"}') == 1
    assert consumer.metric("coupond_consume_take_overs_total") == 2


# ---- the database fails ----

def test_database_killed_and_back(topic, consumers, tmp_path_factory, dice):
    """kill -9 at any moment, a COMMIT under way or not: each row once."""
    database = MariaDB(tmp_path_factory.mktemp("killed"))
    try:
        database.install().start()
        database.prepare()
        consumer = consumers(database).start()
        story = Story("EV", 3000)
        produced = 0
        for turn in range(4):
            story.wins(400, prefix=f"t{turn}-", duplicates=10)
            topic.produce(*story.records[produced:])
            produced = len(story.records)
            time.sleep(dice.random() * 0.15)
            database.kill()
            wait_until(lambda: consumer.page("/health")[0] == 200, "an answer while it waits")
            database.start()
        consumer.await_all()
        check_rows(database, story)
        assert consumer.metric('coupond_consume_retries_total{class="database"}') >= 1
    finally:
        database.end()


def test_read_only_for_a_while(topic, consumer, database):
    story = Story("EV", 100).wins(5)
    topic.produce(*story.records)
    consumer.await_all()
    database.run("SET GLOBAL read_only = 1")
    try:
        before = len(story.records)
        story.wins(5)
        topic.produce(*story.records[before:])
        consumer.await_state("waiting")
        assert consumer.page("/readyz")[0] == 503 and consumer.page("/health")[0] == 200
        assert place_of(database) == before
    finally:
        database.run("SET GLOBAL read_only = 0")
    consumer.await_all()
    check_rows(database, story)


def test_locked_tables(topic, consumer, database):
    """1205: another holds the rows longer than anybody waits."""
    story = Story("EV", 100).wins(5)
    topic.produce(*story.records)
    consumer.await_all()
    holder = database.session("BEGIN; SELECT * FROM events FOR UPDATE;")
    before = len(story.records)
    story.wins(5)
    topic.produce(*story.records[before:])
    consumer.await_state("waiting")
    holder.kill()
    holder.wait()
    consumer.await_all()
    check_rows(database, story)


def test_connections_cut(topic, consumer, database):
    story = Story("EV", 500)
    produced = 0
    for _ in range(5):
        story.wins(40)
        topic.produce(*story.records[produced:])
        produced = len(story.records)
        for (number,) in database.ask("SELECT id FROM information_schema.processlist "
                                      "WHERE user = 'coupond_consumer'"):
            database.client(f"KILL {number}")
    consumer.await_all()
    check_rows(database, story)


def test_dropped_and_rebuilt(topic, consumer, database):
    story = Story("EV", 200).wins(150, duplicates=5).fence().wins(10).give_back(4)
    topic.produce(*story.records, b"junk")
    consumer.await_all()
    consumer.stop()
    dump = "SELECT * FROM {} ORDER BY 1, 2"
    tables = ("events", "coupons", "user_coupons", "user_coupons_history")
    before = [database.run(dump.format(table)) for table in tables]
    database.drop()
    database.prepare()
    consumer.start()
    consumer.await_all()
    assert [database.run(dump.format(table)) for table in tables] == before
    assert database.number("SELECT COUNT(*) FROM rejects") == 2


def test_failover(topic, consumers, tmp_path_factory):
    """The primary dies, the replica is promoted, and consumers that know both go on by themselves."""
    pair = Replicated(tmp_path_factory.mktemp("failover"))
    try:
        pair.start()
        pair.primary.prepare()
        pair.await_replica()
        consumer = consumers(pair.primary, servers=pair.servers).start()
        story = Story("EV", 1000).wins(300)
        topic.produce(*story.records)
        consumer.await_all()
        pair.primary.kill()
        before = len(story.records)
        story.wins(300, prefix="v")
        topic.produce(*story.records[before:])
        consumer.await_state("waiting")
        promoted = pair.promote()
        consumer.database = promoted
        consumer.await_all()
        check_rows(promoted, story)
    finally:
        pair.end()


def test_a_replica_that_had_less(topic, consumers, tmp_path_factory):
    """Promoted without the last transactions: they are written again, from the log."""
    pair = Replicated(tmp_path_factory.mktemp("behind"))
    try:
        pair.start()
        pair.primary.prepare()
        consumer = consumers(pair.primary, servers=pair.servers).start()
        story = Story("EV", 1000).wins(100)
        topic.produce(*story.records)
        consumer.await_all()
        pair.await_replica()
        pair.replica.run("STOP SLAVE", "")
        pair.primary.run("SET GLOBAL rpl_semi_sync_master_enabled = 0", "")
        before = len(story.records)
        story.wins(100, prefix="v")
        topic.produce(*story.records[before:])
        consumer.await_all()
        assert place_of(pair.replica) == before
        pair.primary.kill()
        pair.replica.run("RESET SLAVE ALL; SET GLOBAL read_only = 0", "")
        consumer.database = pair.replica
        before = len(story.records)
        story.wins(10, prefix="w")
        topic.produce(*story.records[before:])
        consumer.await_all()
        check_rows(pair.replica, story)
        assert consumer.metric('coupond_consume_retries_total{class="lost"}') >= 1
    finally:
        pair.end()


# ---- brokers fail ----

def test_leader_killed(kafka, topic, consumer, database):
    story = Story("EV", 500).wins(100)
    topic.produce(*story.records)
    consumer.await_all()
    leader = kafka.leader_of(topic.name)
    leader.kill()
    before = len(story.records)
    story.wins(100, prefix="v", duplicates=10)
    topic.produce(*story.records[before:])
    consumer.await_all()
    check_rows(database, story)
    leader.start()
    kafka.await_all()


def test_all_brokers_killed_and_back(kafka, topic, consumer, database):
    story = Story("EV", 500).wins(100)
    topic.produce(*story.records)
    consumer.await_all()
    for node in kafka.nodes:
        node.kill()
    wait_until(lambda: consumer.page("/livez")[0] == 200, "an answer without brokers")
    time.sleep(2)
    for node in kafka.nodes:
        node.start()
    kafka.await_all()
    before = len(story.records)
    story.wins(100, prefix="v")
    topic.produce(*story.records[before:], b"junk")
    consumer.await_all()
    check_rows(database, story)
    assert consumer.process.poll() is None


def test_stops_in_order(topic, consumer, database):
    story = Story("EV", 2000).wins(1200)
    topic.produce(*story.records)
    wait_until(lambda: consumer.metric("coupond_consume_records_total") > 0, "work under way")
    consumer.stop()
    assert "event=group_not_left" not in consumer.stderr()
    place = place_of(database)
    assert place <= topic.count
    consumer.start()
    consumer.await_all()
    check_rows(database, story)
