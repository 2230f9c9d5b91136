# SPDX-License-Identifier: Apache-2.0
"""Lives of a server that may be cut off anywhere, and what has to be true after them.

    live     start, event, claims, admin writes, claims, stop: until something ends it
    settle   the next start, in which everything that was said is kept to
"""
import re
import signal

from client import EVENTS, Closed
from crowd import crowd
from harness import READY_SECONDS, run, wait_until
from rows import check_copy

NOT_STARTED, FAIL_STOP = 1, 70


def has_ended(server):
    """Stopped, killed, or ended by itself in one of the ways that it may end."""
    status = server.process.poll()
    if status in (FAIL_STOP, NOT_STARTED):
        assert server.stderr().strip(), f"ended with {status} and not a word"
    elif status not in (None, 0, -signal.SIGKILL):
        raise AssertionError(f"ended with {status}:\n{server.stderr()}")
    return status is not None


def begin(server):
    """Until it serves, or has died on the way."""
    server.spawn()
    wait_until(lambda: has_ended(server) or server.is_ready(), "ready, or the end", READY_SECONDS)


def attempt(server, step):
    """Does `step`, during which the server may die; True when it did not."""
    try:
        if server.process.poll() is None:
            step()
    except (Closed, OSError):
        wait_until(lambda: has_ended(server), "the end")
    return not has_ended(server)


def create(server, told):
    """Where the next segment is still on its way, it is asked again."""
    def is_made():
        response = server.admin("POST", EVENTS, {"event_id": told.event, "total_stock": told.stock})
        assert response.status in (201, 503, 507), response
        return response.status == 201

    wait_until(is_made, f"event {told.event}")


def change(server, event, verb, **members):
    server.admin("POST", f"{EVENTS}/{event}/{verb}",
                 dict(operator="ops", reason="test", **members))


def resume(server, event):
    """A life that ended between the two, or found no room for the second, has left it paused."""
    def is_open():
        if server.status_of(event)["status"] != "paused":
            return True
        change(server, event, "resume")
        return False

    wait_until(is_open, f"event {event} open")


def live(server, told):
    """A life of everything that a server does; the status with which it ended."""
    def claim(prefix):
        crowd(server, told, [f"{told.event}-{prefix}-{i}" for i in range(told.stock // 3)],
              threads=8, depth=8)

    def controls():
        for verb in ("pause", "resume"):
            change(server, told.event, verb)

    begin(server)
    for step in (lambda: create(server, told), lambda: claim("a"), controls, lambda: claim("b"),
                 server.terminate):
        attempt(server, step)
    server.wait()
    has_ended(server)
    return server.process.returncode


def settle(server, told):
    """Without faults: everything that was said is kept to, by the copy, too."""
    server.restart()
    listed = [event["event_id"] for event in server.admin("GET", EVENTS).json["events"]]
    for each in told:
        if each.event in listed:
            each.check_against(server)
            resume(server, each.event)
        else:
            assert not each.coupons, f"{each.event} is gone, with its coupons"
            create(server, each)
    check_copy(server)
    checked = run("log", "check", server.data).stdout
    assert re.search(r"torn bytes +0\b", checked), checked
