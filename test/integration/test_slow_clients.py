# SPDX-License-Identifier: Apache-2.0
"""Clients that take their time: with sending, with reading, with leaving. They hurt themselves only."""
import json
import socket
import time

import pytest
from client import EVENTS, ISSUE, claim_bytes, problem, request_bytes, status_path
from harness import Servers, wait_until

SLACK_S = 3  # time is counted in whole seconds, and the machine may be busy


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server with time-outs of one second."""
    made = Servers(tmp_path_factory, "hasty")
    running = made.start("--threads", "1", "--header-timeout", "1s", "--idle-timeout", "1s")
    running.create("EV", 1000)
    yield running
    try:
        running.stop()
    finally:
        made.end()


# ---- sending ----

PARTS = [b"G", b"GET /livez HTTP/1.1\r\nHost: a\r\n", claim_bytes("late", "EV")[:-3],
         request_bytes("POST", ISSUE, b"5\r\nab", [("Transfer-Encoding", "chunked")])]


def test_a_request_that_does_not_come_whole(hasty):
    """As the first of a connection and as the second; all of them at once."""
    start = time.monotonic()
    clients = [(hasty.client(), part, is_second) for part in PARTS for is_second in (False, True)]
    for client, part, is_second in clients:
        client.send((request_bytes("GET", "/livez") if is_second else b"") + part)
        if is_second:
            assert client.response().status == 200
    for client, _, _ in clients:
        response = client.response()
        assert 0.9 < time.monotonic() - start < 1 + SLACK_S
        problem(response, 408, "request_timeout")
        assert response.header("Connection") == "close"
        client.expect_end()
        client.close()


def test_a_request_behind_an_undecided_one_has_its_own_time(servers, disk):
    server = servers.start("--threads", "1", "--header-timeout", "1s", "--idle-timeout", "60s",
                           **disk.preload)
    server.create("EV", 10)
    disk.hold()
    with server.client() as client:
        client.send(claim_bytes("ada", "EV") + b"GET /live")
        disk.await_held()
        start = time.monotonic()
        disk.release()
        assert client.response().status == 200
        problem(client.response(), 408, "request_timeout")
        assert time.monotonic() - start < 1 + SLACK_S


def test_the_time_of_a_request_runs_from_its_first_byte(hasty):
    with hasty.client() as client:
        client.socket.settimeout(0.2)
        start = time.monotonic()
        for byte in request_bytes("GET", "/" + "x" * 200):
            client.send(bytes([byte]))
            try:
                problem(client.response(), 408, "request_timeout")
                break
            except TimeoutError:
                assert time.monotonic() - start < 1 + SLACK_S, "a byte now and then is enough"
        else:
            pytest.fail("it was answered")


def test_a_silent_connection_ends_without_a_word(hasty):
    start = time.monotonic()
    clients = [hasty.client() for _ in range(3)]
    assert clients[1].get("/livez").status == 200
    assert clients[2].claim("idle", "EV").status == 200
    for client in clients:
        client.expect_end()
        assert 0.9 < time.monotonic() - start < 1 + SLACK_S
        client.close()


def test_a_busy_connection_does_not_end(hasty):
    with hasty.client() as client:
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            assert client.claim("steady", "EV").status == 200
            time.sleep(0.4)


def test_who_waits_for_a_claim_is_not_idle(servers, disk):
    server = servers.start("--idle-timeout", "1s", "--header-timeout", "1s", "--answer-timeout", "30s",
                           **disk.preload)
    server.create("EV", 10)
    disk.hold()
    with server.client() as client:
        client.send(claim_bytes("patient", "EV"))
        disk.await_held()
        time.sleep(3.2)
        assert client.is_open()
        disk.release()
        assert client.response().json["serial"] == 1


def test_many_silent_clients_are_forgotten(hasty):
    before = hasty.health()["connections"]
    clients = [hasty.client() for _ in range(200)]
    assert hasty.health()["connections"] >= before + 150
    wait_until(lambda: hasty.health()["connections"] <= before + 1, "silent connections gone")
    for client in clients:
        client.close()


# ---- reading ----

def fill(client, data, quiet_s=0.5):
    """Sends `data` over and over until nothing more is taken; the bytes that were."""
    sent, client_socket = 0, client.socket
    client_socket.settimeout(quiet_s)
    try:
        while sent < 500 * 1024 * 1024:
            sent += client_socket.send(data)
    except TimeoutError:
        pass
    except ConnectionError:
        pass
    return sent


def memory_bytes(server):
    for line in open(f"/proc/{server.process.pid}/status", encoding="ascii"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def test_a_client_that_never_reads(hasty):
    """Nothing is read from it while its answers are stuck, and some day it is dropped."""
    before, memory = hasty.health()["connections"], memory_bytes(hasty)
    clients = [hasty.client(buffer_bytes=4096) for _ in range(3)]
    try:
        sent = [fill(client, request_bytes("GET", status_path("EV")) * 500) for client in clients]
        assert max(sent) < 100 * 1024 * 1024, "it is read without end"
        assert memory_bytes(hasty) - memory < 64 * 1024 * 1024
        start = time.monotonic()
        assert hasty.claim("bystander", "EV").status == 200
        assert time.monotonic() - start < 1
        wait_until(lambda: hasty.health()["connections"] <= before + 1,
                   "clients that never read are dropped", 15)
    finally:
        for client in clients:
            client.close()


def test_a_slow_reader_of_a_large_export_hurts_nobody(servers):
    # Without a copy, which has memory of its own and may still be writing when it is measured.
    server = servers.start("--threads", "1", "--sqlite", "none")
    stock = 20000
    server.create("large", stock)
    with server.client() as client:
        for start in range(0, stock, 1000):
            client.send(b"".join(claim_bytes(f"u{n}", "large") for n in range(start, start + 1000)))
            for _ in range(1000):
                assert client.response().result == "issued"
    fields = [("Authorization", f"Bearer {server.token}")]
    export = request_bytes("GET", f"{EVENTS}/large/export?format=ndjson", None, fields)
    memory = memory_bytes(server)
    with server.admin_client(buffer_bytes=4096) as slow:
        slow.send(export * 4)
        time.sleep(0.3)  # by now its buffers are full
        slowest = 0
        for n in range(30):
            start = time.monotonic()
            assert server.admin("GET", f"{EVENTS}/large").status == 200
            assert server.claim(f"u{n}", "large").result == "already_issued"
            slowest = max(slowest, time.monotonic() - start)
        assert slowest < 1
        assert memory_bytes(server) - memory < 16 * 1024 * 1024, "one piece at a time"
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        whole = server.admin("GET", f"{EVENTS}/large/export?format=ndjson").body
        for _ in range(4):
            assert slow.response().body == whole
    assert [json.loads(line)["serial"] for line in whole.splitlines()] == list(range(1, stock + 1))


def test_an_export_that_nobody_reads_is_dropped(hasty):
    hasty.create("unread", 1000)
    with hasty.client() as client:
        client.send(b"".join(claim_bytes(f"u{n}", "unread") for n in range(1000)))
        for _ in range(1000):
            assert client.response().status == 200
    before = hasty.health()["connections"]
    fields = [("Authorization", f"Bearer {hasty.token}")]
    export = request_bytes("GET", f"{EVENTS}/unread/export", None, fields)
    with hasty.admin_client(buffer_bytes=4096) as client:
        client.send(export * 200)
        wait_until(lambda: hasty.health()["connections"] > before, "the export begun")
        wait_until(lambda: hasty.health()["connections"] <= before, "the export dropped", 20)
        assert hasty.admin("GET", f"{EVENTS}/unread").status == 200
