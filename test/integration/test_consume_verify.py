# SPDX-License-Identifier: Apache-2.0
"""`coupond verify --mode cluster`: whatever differs between log and database is found and named, and
nothing is found that does not differ, however much is written meanwhile.
"""
import json

import pytest
from consume import Consumer, Topic, check_rows
from harness import run
from records import Story

pytestmark = [pytest.mark.mariadb, pytest.mark.kafka]


@pytest.fixture(scope="module")
def settled(kafka, mariadb, tmp_path_factory):
    """(topic, database) with a log that is recorded, and nobody writing."""
    mariadb.drop()
    mariadb.prepare()
    folder = tmp_path_factory.mktemp("verify")
    topic = Topic(kafka.brokers, folder, kafka.replicas, kafka.in_sync)
    consumer = Consumer(folder / "consumer", topic, mariadb)
    try:
        consumer.start()
        story = Story("EV", 200).wins(150, duplicates=5).fence().wins(20).give_back(4)
        topic.produce(*story.records)
        consumer.await_all()
        check_rows(mariadb, story)
        consumer.stop()
        yield topic, mariadb
    finally:
        consumer.end()
        mariadb.drop()


def verify(topic, database, *words, status=0):
    """As somebody who may only read."""
    flags = [*topic.flags[:4], *database.flags("coupond_reader"), "--data-dir", str(topic.folder)]
    return run("verify", "--mode", "cluster", "--recheck-after", "0", *flags, *words, status=status)


def findings(topic, database):
    report = json.loads(verify(topic, database, "--json", status=None).stdout)
    return {one["check"]: one["evidence"] for one in report["findings"]}


def test_all_agrees(settled):
    topic, database = settled
    said = verify(topic, database).stdout
    assert "verified: everything agrees" in said and topic.name in said
    report = json.loads(verify(topic, database, "--json").stdout)
    assert report["log"]["records"] == report["copy"]["applied_seq"] == topic.count
    assert report["log"]["coupons"] == 170


BROKEN = {
    "another user": ("UPDATE user_coupons SET user_id = 'x' WHERE serial = 7",
                     "UPDATE user_coupons SET user_id = 'u7-8' WHERE serial = 7", {"R1"}, "user_id"),
    "another time": ("UPDATE user_coupons SET claimed_ms = 1 WHERE serial = 7",
                     "UPDATE user_coupons SET claimed_ms = 1000 WHERE serial = 7", {"R1"}, "claimed_ms"),
    "another offset": ("UPDATE user_coupons SET log_off = log_off + 100000 WHERE serial = 7",
                       "UPDATE user_coupons SET log_off = log_off - 100000 WHERE serial = 7", {"R1"},
                       "log_seq"),
    "a history": ("UPDATE user_coupons_history SET reason = NULL",
                  "UPDATE user_coupons_history SET reason = '너무 비쌈 \\'\\\\'", {"R1"}, "reason"),
    "taken": ("UPDATE events SET taken = taken - 1", "UPDATE events SET taken = taken + 1",
              {"R1", "R6"}, "taken"),
    "a generation": ("UPDATE events SET gen = 9", "UPDATE events SET gen = 2", {"R1"}, "gen"),
    "a round": ("UPDATE coupons SET round = 3 WHERE serial = 9",
                "UPDATE coupons SET round = 0 WHERE serial = 9", {"R1"}, "round"),
    "a place ahead": ("UPDATE log_offsets SET next_off = next_off + 1000",
                      "UPDATE log_offsets SET next_off = next_off - 1000", {"R9"}, "beyond the end"),
    "another log": ("UPDATE log_offsets SET last_crc = last_crc ^ 1",
                    "UPDATE log_offsets SET last_crc = last_crc ^ 1", {"R9"}, "is not the place"),
    "a dead letter": ("INSERT INTO rejects VALUES (9999, 'dead', 'bad_record', '', 0, 0, '', NULL, NULL, NULL)",
                      "DELETE FROM rejects WHERE log_off = 9999", {"R10"}, "offset 9999 waits"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_found(settled, name):
    topic, database = settled
    wound, heal, checks, words = BROKEN[name]
    database.run(wound)
    try:
        found = findings(topic, database)
        assert set(found) == checks
        assert any(words in evidence for all_of in found.values() for evidence in all_of), found
        verify(topic, database, status=1)
    finally:
        database.run(heal)
    verify(topic, database)


def test_a_row_is_missing(settled):
    topic, database = settled
    row = "event_id = 'EV' AND serial = 12"
    database.run(f"CREATE TABLE kept AS SELECT * FROM user_coupons WHERE {row}; "
                 f"DELETE FROM user_coupons WHERE {row}")
    try:
        assert set(findings(topic, database)) == {"R1", "R6"}
    finally:
        database.run("INSERT INTO user_coupons SELECT * FROM kept; DROP TABLE kept")
    verify(topic, database)


def test_cannot_be_read(settled):
    topic, database = settled
    assert "--kafka" in run("verify", "--mode", "cluster", status=2).stderr
    flags = database.flags("coupond_reader")
    said = run("verify", "--mode", "cluster", "--kafka", "127.0.0.1:1", "--timeout", "1s", *flags,
               status=1).stderr
    assert "127.0.0.1:1" in said


def test_no_false_alarm_while_it_is_written(kafka, mariadb, settled, tmp_path):
    """Log and rows grow under the verifier's eyes; each pass compares like with like."""
    mariadb.drop()
    mariadb.prepare()
    topic = Topic(kafka.brokers, tmp_path, kafka.replicas, kafka.in_sync)
    consumer = Consumer(tmp_path / "consumer", topic, mariadb)
    story, produced = Story("EV", 5000), 0
    try:
        consumer.start()
        for turn in range(8):
            story.wins(150, prefix=f"t{turn}-", duplicates=9)
            story.give_back(sorted(story.holders)[turn]).fence()
            topic.produce(*story.records[produced:])
            produced = len(story.records)
            assert findings(topic, mariadb) == {}
        consumer.await_all()
        assert findings(topic, mariadb) == {}
        check_rows(mariadb, story)
    finally:
        consumer.end()
