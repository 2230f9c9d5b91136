# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, at any moment, again and again: who was told yes keeps the same coupon for ever,
no serial is given twice, and in the end exactly N are issued (I1 to I4).
"""
import re
import threading
import time

import pytest
from client import EVENTS, Closed
from crowd import Crowd, Told, crowd
from harness import count

pytestmark = pytest.mark.threads


def users(prefix, n):
    return [f"{prefix}-{i}" for i in range(n)]


def crash_under_load(server, told, prefix, dice, seconds_max):
    """A crowd at work, and in the middle of it the end."""
    stock = told.stock
    mixed = users(prefix, stock) + dice.choices(sorted(told.coupons) or [prefix], k=stock // 4)
    dice.shuffle(mixed)
    work = Crowd(server, told, mixed, threads=dice.choice((1, 4, 12)), depth=dice.choice((1, 1, 16)))
    time.sleep(dice.uniform(0, seconds_max))
    server.kill()
    work.wait()
    told.check()


@pytest.mark.parametrize("segment", ["64KiB", "1MiB"])
def test_killed_under_load(servers, dice, segment):
    """A new event for each death; what earlier ones were told holds to the end."""
    server = servers.start("--threads", "2", "--journal-segment", segment)
    past = []
    for n in range(count(20, 100)):
        told = Told(f"event-{n}", 400)
        server.create(told.event, told.stock)
        crash_under_load(server, told, f"r{n}", dice, 0.15)
        server.restart()
        told.check_against(server)
        told.sell_the_rest(server, f"rest{n}")
        past.append(told)
        dice.choice(past).check_against(server)
    server.kill()
    server.restart()
    for told in past:
        told.check_against(server)
        assert len(server.export(told.event)) == told.stock
    assert sum(told.unheard for told in past) > 0, "nobody was ever cut off: no crash under load"


def test_one_event_through_many_lives(servers, dice):
    server = servers.start("--threads", "2", "--journal-segment", "64KiB")
    told = Told("lives", 5000)
    server.create("lives", told.stock)
    for n in range(count(20, 100)):
        crash_under_load(server, told, f"life{n}", dice, 0.08)
        if dice.random() < 0.3:  # killed while it is starting, too
            server.spawn()
            time.sleep(dice.uniform(0, 0.03))
            server.kill()
        server.restart()
        told.check_against(server)
    told.sell_the_rest(server, "rest")
    told.check_against(server)


def test_killed_while_it_starts(servers, dice):
    """A first start that is cut off anywhere leaves a folder that the next one can use."""
    for _ in range(count(15, 150)):
        server = servers.new("--journal-segment", "256KiB").spawn()
        time.sleep(dice.uniform(0, 0.02))
        server.kill()
        server.restart()
        server.create("EV", 1)
        assert server.claim("ada", "EV").result == "issued"
        server.kill()


def make_events(server, prefix, made):
    """Events, one after the other, until the server is gone."""
    try:
        while True:
            name = f"{prefix}-{len(made)}"
            server.create(name, 3)
            made.append(name)
    except (Closed, OSError):
        pass


def test_killed_while_an_event_is_made(servers, dice):
    """An event that was promised is there; one that was not may be, whole."""
    server = servers.start("--threads", "2")
    promised = []
    for n in range(count(10, 60)):
        made = []
        maker = threading.Thread(target=make_events, args=(server, f"life{n}", made))
        maker.start()
        time.sleep(dice.uniform(0, 0.05))
        server.kill()
        maker.join()
        server.restart()
        promised += made
        listed = {event["event_id"]: event for event in server.admin("GET", EVENTS).json["events"]}
        assert listed.keys() >= set(promised) and len(listed) <= len(promised) + n + 1
        assert all(event["total_stock"] == event["remaining_stock"] == 3
                   for event in listed.values())
    assert promised


def test_nothing_is_cut_that_was_told(servers, dice):
    """With a pause before the end everything was told, so nothing is left in doubt."""
    server = servers.start("--threads", "2")
    told = Told("EV", 300)
    server.create("EV", 300)
    crowd(server, told, users("u", 300), threads=8)
    assert told.unheard == 0 and len(told.coupons) == 300
    server.kill()
    server.restart()
    assert not re.search("cut|lost|damage", server.stderr())
    told.check_against(server)
    assert server.claim("late", "EV").json["final"] is True
