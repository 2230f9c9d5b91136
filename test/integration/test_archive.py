# SPDX-License-Identifier: Apache-2.0
"""The keys of an event that is over stay in Redis until those who record it are done with it, and then end."""
import time

import pytest
from deployment import SECONDS, ask
from harness import wait_until

pytestmark = [pytest.mark.redis, pytest.mark.kafka, pytest.mark.mariadb]

LOOKS_SECONDS = 3  # a server asks how far they are as often as that


def close(server, event):
    server.event("close", event, "--reason", "test")
    assert ask(server, "late", event).result == "ended"


def ttl(lost, event):
    key = f"coupon:{{{event}}}:m"
    return lost.redis.master_of(key)("TTL", key)


def stays(lost, event):
    until = time.monotonic() + 3 * LOOKS_SECONDS
    while time.monotonic() < until:
        assert ttl(lost, event) == -1
        time.sleep(0.2)


def test_what_is_not_recorded_yet_stays(lost):
    """Also when the consumer has gone: that it was there is known to the brokers."""
    server = lost.start("--archive-ttl", "1h")
    server.create(lost.event, 5)
    server.create(lost.event + "-b", 5)
    consumer = lost.consume()
    ask(server, "ada", lost.event)
    lost.await_recorded()
    consumer.stop()
    ask(server, "bob", lost.event)
    close(server, lost.event)
    stays(lost, lost.event)
    other = lost.start("--archive-ttl", "1h")
    stays(lost, lost.event)
    consumer.start()
    wait_until(lambda: ttl(lost, lost.event) > 0, "the end of the keys", SECONDS)
    for one in (server, other):
        assert sorted(row["user_id"] for row in one.export(lost.event)) == ["ada", "bob"]
    close(other, lost.event + "-b")
    wait_until(lambda: ttl(lost, lost.event + "-b") > 0, "the end of the others' keys", SECONDS)


def test_a_consumer_that_has_recorded_nothing_yet_is_waited_for(lost):
    """Its database is frozen: the group has a member, and no place."""
    server = lost.start("--archive-ttl", "1h")
    consumer = lost.consume()
    wait_until(lambda: consumer.state() in ("idle", "recording"), "a consumer that is ready", SECONDS)
    lost.database.freeze()
    try:
        server.create(lost.event, 5)
        ask(server, "ada", lost.event)
        close(server, lost.event)
        stays(lost, lost.event)
    finally:
        lost.database.thaw()
    wait_until(lambda: ttl(lost, lost.event) > 0, "the end of the keys", SECONDS)


def test_nobody_is_waited_for_where_nobody_records(lost):
    server = lost.start("--archive-ttl", "1h")
    server.create(lost.event, 5)
    ask(server, "ada", lost.event)
    close(server, lost.event)
    wait_until(lambda: ttl(lost, lost.event) > 0, "the end of the keys", SECONDS)
