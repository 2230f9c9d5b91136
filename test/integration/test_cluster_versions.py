# SPDX-License-Identifier: Apache-2.0
"""Servers of two versions on one topic, as while a new one is brought out: `coupond`, and `coupond-next`,
which is of the same source but reads records of one version more.

They may start and stop in any order under load, and agree: no serial twice, and at equal offsets equal
digests of the judge. The first record that the older one does not know halts it, with a word to replace
it, before it could say anything wrong; the newer one goes on.
"""
import pathlib
import re
import threading
import time

import harness
import pytest
from client import EVENTS, status_path
from consume import Topic
from crowd import Crowd, Told, crowd
from deployment import SECONDS, ask, same_everywhere, sell_out
from harness import COUPOND, READY_SECONDS, count, wait_until
from records import restock

pytestmark = [pytest.mark.redis, pytest.mark.kafka]

NEXT = pathlib.Path(COUPOND).with_name("coupond-next")
STOCK = 400
FAIL_STOP = 70


@pytest.fixture
def pair(deployment, monkeypatch):
    """Starts servers of either version: pair(is_next)."""
    if not NEXT.exists():
        pytest.skip(f"there is no {NEXT}: it is built with the tests")
    lock = threading.Lock()

    def as_version(is_next, step):
        with lock:
            monkeypatch.setattr(harness, "COUPOND", str(NEXT if is_next else COUPOND))
            try:
                return step()
            finally:
                monkeypatch.setattr(harness, "COUPOND", COUPOND)

    def start(is_next):
        server = as_version(is_next, deployment.start)
        server.is_next = is_next
        return server

    start.restart = lambda server: as_version(server.is_next, server.restart)
    start.spawn = lambda server: as_version(server.is_next, server.spawn)
    return start


def make(server, told):
    """The event, on a machine that may be too busy to confirm it at once."""
    def is_there():
        server.admin("POST", EVENTS, {"event_id": told.event, "total_stock": told.stock})
        return server.get(status_path(told.event)).status == 200

    wait_until(is_there, "the event", SECONDS)


def judged(server, event):
    """(offset, digest) of the judge, as the metrics have it."""
    text = server.admin("GET", "/metrics").body.decode()
    found = re.search(rf'^coupond_event_judge_info{{event="{event}",offset="(\d+)",digest="(\w+)"}} 1$',
                      text, re.M)
    return (int(found[1]), found[2]) if found else None


class Agreement:
    """Notes what the judge of each server says while all goes on; `check` that no offset had two digests."""

    def __init__(self, event):
        self.event, self.seen = event, {}

    def note(self, servers):
        """And returns what they say now."""
        said = [judged(server, self.event) for server in servers if server.is_running()]
        for offset, digest in filter(None, said):
            self.seen.setdefault(offset, set()).add(digest)
        return said

    def check(self, servers):
        """Once all are at rest: the same offset everywhere, and one digest."""
        def is_one():
            said = self.note(servers)
            return None not in said and len(set(said)) == 1

        wait_until(is_one, "one place of all judges", SECONDS)
        assert {offset: digests for offset, digests in self.seen.items() if len(digests) > 1} == {}


def test_they_come_and_go_under_load(deployment, pair, dice):
    old, new = pair(False), pair(True)
    servers = [old, new]
    told, agreement = Told(deployment.event, STOCK), Agreement(deployment.event)
    make(old, told)
    ask(new, "u-0", told.event)
    for turn in range(count(6, 30)):
        work = [Crowd(server, told, [f"{turn}-{n}-{server.is_next}" for n in range(20)], threads=2, depth=4)
                for server in servers]
        agreement.note(servers)
        leaver = dice.choice(servers)
        time.sleep(dice.random() / 10)
        if dice.random() < 0.5:
            leaver.kill()
        else:
            leaver.terminate()
            leaver.wait()
        for one in work:
            one.wait()
        pair.restart(leaver)
        agreement.note(servers)
        ask(leaver, f"after-{turn}", told.event)
    servers += [pair(True), pair(False)]
    sell_out(deployment, told)
    agreement.check(servers)


def test_a_record_of_tomorrow_halts_those_of_today(deployment, pair, kafka, tmp_path):
    old, other, new = pair(False), pair(False), pair(True)
    told, agreement = Told(deployment.event, 60), Agreement(deployment.event)
    make(old, told)
    for n, server in enumerate((old, other, new) * 3):
        told.hear(f"u-{n}", ask(server, f"u-{n}", told.event))
    same_everywhere(deployment, told.event)
    agreement.check([old, other, new])

    topic = Topic(kafka.brokers, tmp_path)
    topic.name = deployment.topic
    work = Crowd(new, told, [f"during-{n}" for n in range(20)], threads=2, depth=4)
    told.stock = 70
    topic.produce(restock(told.event, told.stock, version=2))
    for server in (old, other):
        assert server.wait() == FAIL_STOP, server.stderr()
        assert "event=newer_record" in server.stderr() and "must be replaced" in server.stderr()
    work.wait()
    wait_until(lambda: new.status_of(told.event)["total_stock"] == told.stock, "what it says", SECONDS)

    pair.spawn(old)
    assert old.wait(READY_SECONDS) == 1
    assert "has records of a newer coupond" in old.stderr() and "ready listen" not in old.stderr()

    third = pair(True)  # replaced
    crowd(third, told, [f"third-{n}" for n in range(10)])
    sell_out(deployment, told)
    agreement.check([new, third])
