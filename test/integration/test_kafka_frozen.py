# SPDX-License-Identifier: Apache-2.0
"""Brokers that take connections and say nothing, as those of a stopped virtual machine do: whoever waits
for them stops waiting at its time, says for what it waited, and ends when it is told to.
"""
import contextlib
import signal
import subprocess
import time

import pytest
from consume import Consumer, Topic, check_rows
from deployment import ask
from harness import COUPOND, READY_SECONDS, wait_until
from records import Story

pytestmark = [pytest.mark.redis, pytest.mark.kafka, pytest.mark.mariadb]

END_SECONDS = 20  # from a SIGTERM on: the group is waited for 3 s, a read of the verifier 10 s
SILENT = "take connections and are silent"


@contextlib.contextmanager
def frozen(kafka):
    for node in kafka.nodes:
        node.freeze()
    try:
        yield
    finally:
        for node in kafka.nodes:
            node.thaw()
        kafka.await_all()


@pytest.fixture
def ends():
    """What ends with the test, whatever happens."""
    with contextlib.ExitStack() as stack:
        yield stack


def seconds_until(process, status, said):
    begin = time.monotonic()
    try:
        assert process.wait(END_SECONDS) == status, said()
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still running after {END_SECONDS} s: {said()}") from None
    return time.monotonic() - begin


def test_whoever_runs_ends_when_told(kafka, deployment, database, tmp_path, ends):
    """And what it did not bring to an end, another does."""
    server = deployment.start()
    server.create(deployment.event, 5)
    assert ask(server, "ada", deployment.event).result == "issued"
    topic = Topic(kafka.brokers, tmp_path, kafka.replicas, kafka.in_sync)
    consumer = Consumer(tmp_path / "consumer", topic, database, "--verify-every", "200ms")
    ends.callback(consumer.end)
    consumer.start()
    story = Story("EV", 100).wins(20)
    topic.produce(*story.records)
    consumer.await_all()
    with frozen(kafka):
        assert server.claim("bob", deployment.event).status == 202
        assert consumer.page("/livez")[0] == 200
        time.sleep(3)  # so that what is asked at intervals is under way
        server.terminate()
        consumer.signal(signal.SIGTERM)
        seconds_until(server.process, 0, server.stderr)
        seconds_until(consumer.process, 0, consumer.stderr)
    server.restart()
    assert ask(server, "bob", deployment.event).result in ("issued", "already_issued")
    consumer.start()
    before = len(story.records)
    story.wins(20, prefix="v")
    topic.produce(*story.records[before:])
    consumer.await_all()
    check_rows(database, story)


def test_whoever_starts_gives_up(kafka, deployment, database, tmp_path, ends):
    """At its own time, with one line at the end; `consume` ends at once when it is told to."""
    topic = Topic(kafka.brokers, tmp_path, kafka.replicas, kafka.in_sync)
    verify = [COUPOND, "verify", "--mode", "cluster", "--recheck-after", "0", "--timeout", "2s",
              "--data-dir", str(tmp_path), *topic.flags[:4], *database.flags("coupond_reader")]
    consumer = Consumer(tmp_path / "consumer", topic, database)
    ends.callback(consumer.end)
    server = deployment.start()
    server.stop()
    with frozen(kafka):
        begin = time.monotonic()
        process = subprocess.Popen(verify, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        ends.callback(process.kill)
        server.spawn()
        consumer.spawn()
        said = process.communicate(timeout=END_SECONDS)[0]
        assert process.returncode == 1 and time.monotonic() - begin < 10, said
        assert said.count("\n") == 1 and "coupond verify: kafka: " in said and kafka.brokers in said
        wait_until(lambda: "event=brokers_awaited" in consumer.stderr(), "a word", READY_SECONDS)
        consumer.signal(signal.SIGTERM)
        seconds_until(consumer.process, 1, consumer.stderr)
        assert "was stopped while the brokers were away" in consumer.stderr()
        assert server.wait(40) == 1 and time.monotonic() - begin < 45
        last = server.stderr().splitlines()[-1]
        assert last.startswith("coupond serve: kafka: ") and SILENT in last, last
        assert "ready listen" not in server.stderr()
