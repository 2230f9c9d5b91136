# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the consumer at every named place of its way to the database: what it had committed is
never made again, what it had not is. The program has to be built with -Dfailpoints=true.
"""
import re
import signal

import pytest
from consume import Consumer, Topic, check_rows, place_of
from harness import COUPOND, READY_SECONDS, ROOT, count, run, wait_until
from records import Story, win

pytestmark = [pytest.mark.mariadb, pytest.mark.kafka, pytest.mark.failpoints]


def names_in_sources(prefix):
    texts = (path.read_text() for path in (ROOT / "src").rglob("*.c"))
    return sorted(set(re.findall(rf'FAILPOINT\("({prefix}\w+)"\)', "\n".join(texts))))


NAMES = names_in_sources("consume_")
AT_START = re.compile("take_over|taken_over")


def test_the_program_has_them():
    binary = open(COUPOND, "rb").read()
    assert len(NAMES) >= 8
    assert not [name for name in NAMES if name.encode() not in binary]


@pytest.mark.parametrize("name", NAMES)
def test_killed_there_and_goes_on(kafka, database, tmp_path, dice, crash_runs, name):
    """Several lives, each cut off at `name`; records of every kind, some of them twice, some dead."""
    topic = Topic(kafka.brokers, tmp_path, kafka.replicas, kafka.in_sync)
    consumer = Consumer(tmp_path / "consumer", topic, database)
    story, produced, dead = Story("EV", 2000), 0, 0
    try:
        for life in range(count(3, 12)):
            at = 1 if AT_START.search(name) else dice.randrange(1, 4)
            consumer.spawn(COUPOND_FAILPOINT=f"{name}:{at}")
            for part in range(at):
                story.wins(dice.randrange(5, 60), prefix=f"l{life}p{part}-", duplicates=4)
                if dice.random() < 0.5:
                    story.fence()
                if dice.random() < 0.5:
                    story.give_back(dice.choice(sorted(story.holders)))
                topic.produce(*story.records[produced:], b"junk")
                produced = len(story.records)
                dead += 1
                wait_until(lambda: consumer.process.poll() is not None or
                           place_of(database) == topic.count, "its end or all of it",
                           READY_SECONDS)
            if consumer.process.poll() is None:  # batches were fewer than parts: one more
                consumer.kill()
                continue
            assert consumer.process.returncode == -signal.SIGKILL, consumer.stderr()
            crash_runs.add()
        consumer.start()
        topic.produce(win("EV", 1, "a-late-one", gen=99))
        consumer.await_all()
        check_rows(database, story)
        assert database.number("SELECT COUNT(*) FROM rejects WHERE state = 'dead'") == dead
        assert len(topic.dead_letters()) >= dead
        consumer.stop()
    finally:
        consumer.end()


@pytest.mark.parametrize("name", names_in_sources("schema_"))
def test_migration_killed(mariadb, monkeypatch, name):
    """At each statement of it: the next one makes it whole."""
    mariadb.drop()
    mariadb.make_users()
    for at in range(1, 8):
        monkeypatch.setenv("COUPOND_FAILPOINT", f"{name}:{at}")
        done = run("schema", "apply", *mariadb.flags("coupond_schema"), status=None)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done
        monkeypatch.delenv("COUPOND_FAILPOINT")
        mariadb.schema("status", status=1)
    monkeypatch.delenv("COUPOND_FAILPOINT", raising=False)
    mariadb.schema()
    mariadb.schema("status")
    mariadb.drop()
