# SPDX-License-Identifier: Apache-2.0
"""/health tells the truth about each part, while the part is ill and when it is well again. The
journal's and the copy's faults are in test_limits.py, test_journal_faults.py and test_record.py.
"""
import errno
import os

import pytest
from client import EVENTS
from frozen import Frozen
from harness import READY_SECONDS, wait_until


def health(server):
    with server.admin_client() as client:
        return client.get("/health").json


def await_word(server, part, word):
    wait_until(lambda: health(server)[part]["status"] == word, f"{part} {word}", READY_SECONDS)


def test_every_part_is_there_and_well(server):
    wait_until(lambda: server.health()["copy"]["status"] == "ok", "the copy", READY_SECONDS)
    told = server.health()
    assert told["status"] == "ok" and told["draining"] is False
    parts = {name: part["status"] for name, part in told.items() if isinstance(part, dict)}
    assert parts.pop("verify") == "not_yet"  # the first pass comes after a minute
    assert parts == dict.fromkeys(("journal", "engine", "views", "copy", "disk"), "ok")
    disk = os.statvfs(server.data)
    assert told["disk"]["free_bytes"] == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.2)
    assert 0 < told["journal"]["room_bytes"] <= 2 << 20
    assert told["views"]["records_behind"] == 0


def test_an_engine_that_stands_still(server):
    server.create("e", 2)
    with Frozen(server, "engine"):
        await_word(server, "engine", "stuck")
        assert health(server)["status"] == "degraded"
        assert health(server)["views"]["status"] == "ok"
    await_word(server, "engine", "ok")
    assert health(server)["status"] == "ok"
    assert server.claim("a", "e").result == "issued"


def test_a_thread_that_does_not_follow(servers):
    server = servers.start("--threads", "2", "--answer-timeout", "300ms")
    with Frozen(server, "net-1"):
        body = {"event_id": "e", "total_stock": 2}
        assert server.admin("POST", EVENTS, body).status == 202  # not every thread has it
        await_word(server, "views", "behind")
        told = health(server)
        assert told["status"] == "degraded" and told["views"]["records_behind"] == 1
        assert told["engine"]["status"] == "ok"
    await_word(server, "views", "ok")
    assert health(server)["status"] == "ok" and health(server)["views"]["records_behind"] == 0


def test_what_waits_is_counted(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "300ms", **disk.preload)
    server.create("e", 5)
    disk.hold()
    assert server.claim("a", "e").status == 202
    wait_until(lambda: server.health()["engine"]["claims_waiting"] == 1, "a claim that waits")
    await_word(server, "journal", "slow")
    disk.release()
    wait_until(lambda: server.health()["engine"]["claims_waiting"] == 0, "nobody waits")


def test_a_disk_that_is_short(servers, disk):
    """A segment ahead cannot be made: nothing is lost yet, and /health says so in good time."""
    server = servers.start("--threads", "1", "--journal-segment", "128KiB", **disk.preload)
    server.create("e", 100000)
    disk.fail("fallocate", code=errno.ENOSPC)
    users = iter(range(100000))

    def claim_until_short():
        with server.client() as client:
            for _ in range(200):
                client.claim(f"user-with-a-long-name-{next(users):06}", "e")
        return server.health()["disk"]["status"] == "short"

    wait_until(claim_until_short, "short", READY_SECONDS)
    assert server.health()["status"] == "degraded"
    disk.heal()
    wait_until(lambda: server.health()["disk"]["status"] == "ok", "room again", READY_SECONDS)
