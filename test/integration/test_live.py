# SPDX-License-Identifier: Apache-2.0
"""The stream of the status page: whole snapshots once a second, for a bounded number of readers, of
whom none holds anything up.
"""
import json
import re
import time

import pytest
from client import EVENTS, Client, Closed, problem, request_bytes
from harness import READY_SECONDS, wait_until

STREAM = "/admin/v1/stream"
pytestmark = pytest.mark.threads


PATIENT = ("--answer-timeout", "20s")  # for many events on a slow disk


class Stream:
    """An open stream, read event by event."""

    def __init__(self, server, query="", fields=None, version="1.1", **options):
        self.client = Client(server.ready.admin, seconds=READY_SECONDS, **options)
        fields = fields or [("Authorization", f"Bearer {server.token}")]
        self.client.send(request_bytes("GET", STREAM + query, None, fields, version))
        line = self.client._line()
        assert line == b"HTTP/1.1 200 OK", line
        self.fields = dict(self.client._fields())
        self.is_chunked = version == "1.1"
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def _more(self):
        if not self.is_chunked:
            while not self.client.unread:
                self.client._more()
            self.text, self.client.unread = self.text + self.client.unread, b""
            return
        size = int(self.client._line(), 16)
        if size == 0:
            raise Closed("the last chunk")
        self.text += self.client._take(size)
        assert self.client._take(2) == b"\r\n"

    def event(self):
        """The fields of the next one, by name."""
        while b"\n\n" not in self.text:
            self._more()
        event, self.text = self.text.split(b"\n\n", 1)
        return dict(line.split(": ", 1) for line in event.decode().split("\n"))

    def snapshot(self):
        return json.loads(self.event()["data"])

    def await_snapshot(self, condition, seconds=READY_SECONDS):
        until = time.monotonic() + seconds
        while True:
            snapshot = self.snapshot()
            if condition(snapshot):
                return snapshot
            assert time.monotonic() < until, snapshot

    def expect_end(self):
        with pytest.raises(Closed):
            while True:
                self.event()


# ---- the format ----

def test_events_come_again_and_again(server):
    server.create("first", 5)
    with Stream(server) as stream:
        assert stream.fields["Content-Type"] == "text/event-stream; charset=utf-8"
        assert stream.fields["Cache-Control"] == "no-store"
        first, second, third = stream.event(), stream.event(), stream.event()
    assert first["retry"] == "2000" and "retry" not in second
    assert [event["id"] for event in (first, second, third)] == ["1", "2", "3"]
    assert {event["event"] for event in (first, second, third)} == {"snapshot"}
    for event in (first, second, third):
        assert json.loads(event["data"])["event"]["event_id"] == "first"
    with Stream(server, version="1.0") as stream:
        assert stream.snapshot() and stream.snapshot()


def test_a_snapshot_tells_what_the_routes_tell(server):
    server.create("old", 9)
    server.create("e", 3, ends_at="2099-01-01T00:00:00Z")
    for user in ("a", "b", "a", "c", "d"):
        server.claim(user, "e")
    with Stream(server, "?event=e") as stream:
        snapshot = stream.await_snapshot(lambda s: sum(s["event"]["requests"]["counts"]) == 5)
    event = snapshot["event"]
    status = server.status_of("e")
    assert {name: event[name] for name in status} == status
    assert [row["event_id"] for row in snapshot["events"]] == ["e", "old"]
    assert snapshot["events_count"] == 2 and snapshot["events"][0]["claims"] == 5
    told = {name: count for name, count in event["claims"].items() if count}
    assert told == {"issued": 3, "already_issued": 1, "sold_out": 1}
    assert sum(event["curve"]["counts"]) == 3 and event["curve"]["step_ms"] >= 10
    assert snapshot["latency"]["count"] >= 3 and snapshot["latency"]["p99_us"] >= 100
    health = server.health()
    assert set(snapshot["health"]) == set(health) and snapshot["health"]["status"] == "ok"


def test_a_late_reader_still_sees_the_rush(server):
    server.create("e", 50)
    for i in range(60):
        server.claim(f"u{i}", "e")
    with Stream(server) as stream:
        stream.await_snapshot(lambda s: sum(s["event"]["requests"]["counts"]) == 60)
    with Stream(server) as stream:
        first = stream.snapshot()
        assert sum(first["event"]["requests"]["counts"]) == 60
        assert sum(first["event"]["curve"]["counts"]) == 50
        # Later ones bring the last seconds only, which tie on to those of before.
        last_s = first["event"]["requests"]["from_s"] + len(first["event"]["requests"]["counts"])
        requests = stream.snapshot()["event"]["requests"]
        assert len(requests["counts"]) <= 5 and requests["from_s"] <= last_s
    server.stop()
    server.start()
    with Stream(server) as stream:  # the log knows when each was issued
        assert sum(stream.snapshot()["event"]["curve"]["counts"]) == 50


def test_without_an_event_and_with_a_newer_one(server):
    with Stream(server) as stream:
        assert stream.snapshot()["event"] is None
        server.create("one", 1)
        stream.await_snapshot(lambda s: s["event"] and s["event"]["event_id"] == "one")
        server.create("two", 1)
        snapshot = stream.await_snapshot(lambda s: s["events_count"] == 2)
        assert snapshot["event"]["event_id"] == "one"  # what one looks at stays
    with Stream(server) as stream:
        assert stream.snapshot()["event"]["event_id"] == "two"


def test_the_list_is_bounded(servers):
    server = servers.start("--threads", "2", *PATIENT)
    for i in range(120):
        server.create("n" * 60 + f"{i:04}", 1000000, starts_at="2098-01-01T00:00:00.123Z",
                      ends_at="2099-01-01T00:00:00.123Z")
    with Stream(server, "?event=" + "n" * 60 + "0000") as stream:
        event = stream.event()
    snapshot = json.loads(event["data"])
    assert len(snapshot["events"]) == 100 and snapshot["events_count"] == 120
    assert snapshot["events"][0]["event_id"].endswith("0119")
    assert snapshot["event"]["event_id"].endswith("0000")


def test_who_may_and_what_for(shared):
    with shared.admin_client() as client:
        problem(client.get(STREAM), 401, "unauthorized")
    problem(shared.admin("GET", f"{STREAM}?event=nowhere"), 404, "unknown_event", "event_id")
    assert shared.admin("HEAD", STREAM).body == b""
    problem(shared.admin("POST", STREAM, {}), 405, "method_not_allowed")


# ---- bounds ----

def streams_of(server):
    with server.admin_client() as client:
        text = client.get("/metrics").body.decode()
    return int(re.search(r"^coupond_admin_streams (\d+)$", text, re.M)[1])


def test_so_many_and_no_more(server):
    server.create("e", 1)
    streams = [Stream(server) for _ in range(32)]
    problem(server.admin("GET", STREAM), 503, "too_many_streams")
    for stream in streams:
        assert stream.snapshot()["event"]["event_id"] == "e"
    assert server.admin("GET", EVENTS).status == 200
    for stream in streams[:5]:
        stream.client.close()
    wait_until(lambda: streams_of(server) == 27, "five are gone", READY_SECONDS)
    with Stream(server) as stream:
        assert stream.snapshot()
    for stream in streams:
        stream.client.close()
    wait_until(lambda: streams_of(server) == 0, "all are gone", READY_SECONDS)


def test_a_slow_reader_is_dropped_and_holds_up_nobody(servers):
    server = servers.start("--threads", "2", *PATIENT)
    for i in range(100):
        server.create("s" * 60 + f"{i:04}", 1000000)
    slow = Stream(server, buffer_bytes=4096)
    with Stream(server) as quick:
        quick.snapshot()
        until = time.monotonic() + READY_SECONDS * 2
        while streams_of(server) == 2:
            assert quick.snapshot()["events_count"] == 100
            assert time.monotonic() < until
        assert streams_of(server) == 1
        assert quick.snapshot()
    with pytest.raises((Closed, ConnectionError)):
        while True:
            slow.event()
    slow.client.close()


def test_a_stream_ends_with_its_session(server):
    with server.admin_client() as client:
        response = client.request("POST", "/admin/v1/login", {"token": server.token})
        cookie = ("Cookie", response.header("Set-Cookie").split(";")[0])
    with Stream(server, fields=[cookie]) as stream, Stream(server) as other:
        assert stream.snapshot()
        with server.admin_client() as client:
            client.request("POST", "/admin/v1/logout", None,
                           [cookie, ("Sec-Fetch-Site", "same-origin")])
        stream.expect_end()
        assert other.snapshot()


def test_a_stop_ends_streams_in_good_order(server):
    with Stream(server) as stream:
        stream.snapshot()
        server.terminate()
        stream.expect_end()
        assert server.wait() == 0


def test_claims_go_on_whoever_looks(server):
    server.create("e", 200)
    streams = [Stream(server) for _ in range(8)]
    for i in range(300):
        assert server.claim(f"u{i}", "e").json["success"] is (i < 200)
    for stream in streams:
        stream.await_snapshot(lambda s: s["event"]["total_participants"] == 200)
        stream.client.close()
