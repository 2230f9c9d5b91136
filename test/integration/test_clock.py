# SPDX-License-Identifier: Apache-2.0
"""The machine's clock is set while the server runs, and between two of its lives: starts and ends are
kept to by one clock that never runs backwards (I9), and nobody loses a coupon by it.
"""
import datetime
import mmap
import struct
import time

import pytest
from crowd import Crowd, Told, crowd
from harness import count, wait_until
from rows import check_copy

HOUR = 3600


class Clock:
    """Moves the wall clock of a server that was started with `**clock.preload`."""

    def __init__(self, library, path):
        self.library, self.path = library, path
        path.write_bytes(bytes(8))
        self.file = path.open("r+b")
        self.seconds = mmap.mmap(self.file.fileno(), 8)

    @property
    def preload(self):
        return {"preload": self.library, "environment": {"OTHER_TIME_FILE": str(self.path)}}

    def set(self, seconds):
        """So far away from this machine's clock."""
        struct.pack_into("<q", self.seconds, 0, seconds)

    def end(self):
        self.seconds.close()
        self.file.close()


@pytest.fixture
def clock(other_time, tmp_path):
    made = Clock(other_time, tmp_path / "seconds")
    yield made
    made.end()


def at(seconds):
    """An instant so many seconds from now, by this machine's clock."""
    instant = datetime.datetime.fromtimestamp(time.time() + seconds, datetime.timezone.utc)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def await_results(server, user, *results):
    """Until every network thread has heard of the step: each new connection is some thread's."""
    wait_until(lambda: all(server.claim(user, "EV").result in results for _ in range(20)),
               f"{user} is told {results}")


def new_server(servers, clock):
    return servers.new("--threads", "2", "--journal-segment", "64KiB", "--sqlite",
                       "coupons.sqlite", **clock.preload)


def check_times(server, event):
    """In the order of serials, no coupon is older than the one before, and none outside the times."""
    status = server.status_of(event)
    issued = [row["issued_at"] for row in server.export(event)]
    assert issued == sorted(issued)
    assert all(status["starts_at"] <= each < status["ends_at"] for each in issued)


def test_steps_across_start_and_end(servers, clock):
    server = new_server(servers, clock).start()
    server.create("EV", 10, starts_at=at(HOUR), ends_at=at(2 * HOUR))
    assert server.claim("early", "EV").result == "not_started"
    clock.set(HOUR + 60)
    await_results(server, "ada", "issued", "already_issued")
    first = server.claim("ada", "EV")
    clock.set(-HOUR)  # before the start, but this event has started
    assert server.claim("bob", "EV").result == "issued"
    assert server.status_of("EV")["status"] == "active"
    clock.set(3 * HOUR)
    await_results(server, "late", "ended")
    assert server.status_of("EV")["status"] == "ended"
    clock.set(HOUR + 60)  # between the two, but it has ended
    assert server.claim("later", "EV").result == "ended"
    assert server.claim("ada", "EV").json["coupon_id"] == first.json["coupon_id"]
    check_times(server, "EV")
    check_copy(server)


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_set_back_between_two_lives(servers, clock, how):
    """The next life begins no earlier than the last record of this one."""
    server = new_server(servers, clock).start()
    server.create("EV", 500, starts_at=at(HOUR), ends_at=at(2 * HOUR))
    clock.set(HOUR + 60)
    await_results(server, "early", "issued", "already_issued")
    told = Told("EV", 500)
    crowd(server, told, [f"a-{n}" for n in range(200)])
    getattr(server, how)()
    clock.set(-24 * HOUR)
    server.restart()
    told.check_against(server)
    crowd(server, told, [f"b-{n}" for n in range(200)])
    assert len(told.coupons) == 400 and server.coupon_of("early", "EV")
    check_times(server, "EV")
    getattr(server, how)()
    clock.set(0)
    server.restart()
    told.sell_the_rest(server, "rest")
    told.check_against(server)
    check_times(server, "EV")
    check_copy(server)


def test_set_forward_between_two_lives(servers, clock):
    """Whoever comes after the end is late, and who came before keeps what they have."""
    server = new_server(servers, clock).start()
    server.create("EV", 50, starts_at=at(-HOUR), ends_at=at(HOUR))
    told = Told("EV", 50)
    crowd(server, told, [f"a-{n}" for n in range(20)])
    server.kill()
    clock.set(2 * HOUR)
    server.restart()
    await_results(server, "late", "ended")
    told.check_against(server)
    check_times(server, "EV")


def test_steps_under_load(servers, clock, dice):
    """Back and forth between start and end while a crowd claims, with a kill in the middle."""
    server, stock = new_server(servers, clock).start(), 1200
    server.create("EV", stock, starts_at=at(-12 * HOUR), ends_at=at(12 * HOUR))
    told = Told("EV", stock)
    for life in range(count(2, 20)):
        users = [f"{life}-{n}" for n in range(stock // count(4, 40))]
        work = Crowd(server, told, users, threads=6, depth=4)
        while any(thread.is_alive() for thread in work.threads):
            clock.set(dice.randrange(-10 * HOUR, 10 * HOUR))
            time.sleep(0.01)
        work.wait()
        server.kill()
        server.restart()
        told.check_against(server)
    told.sell_the_rest(server, "rest")
    told.check_against(server)
    check_times(server, "EV")
    check_copy(server)
