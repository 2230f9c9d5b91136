# SPDX-License-Identifier: Apache-2.0
"""At the edge of what there is: open files, connections, work in flight, time. Who is inside goes on,
who is outside is told so, and nothing is reserved for a claim that was refused.
"""
import resource
import time

import pytest
from client import Closed, claim_bytes, problem, request_bytes, status_path, user_path
from harness import wait_until
def limit_files(files):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


def is_sent_away(client):
    """True when a newcomer was answered 503 or just closed; False when it was let in."""
    try:
        client.send(request_bytes("GET", "/livez"))
        response = client.response()
    except (Closed, ConnectionError):
        return True
    if response.status == 200:
        return False
    problem(response, 503, "too_many_connections")
    assert response.header("Connection") == "close"
    client.expect_end()
    return True


def fill_up(server, at_most):
    """Connections that are let in, until one is not."""
    inside = []
    while len(inside) < at_most:
        client = server.client()
        if is_sent_away(client):
            client.close()
            return inside
        inside.append(client)
    return inside


def goes_on(server, inside, at_least, at_most):
    """Who is inside is served, who is not is told; when some leave others come in."""
    assert at_least <= len(inside) <= at_most
    for n, client in enumerate(inside):
        assert client.claim(f"inside-{n}", "EV").result == "issued"
    start = time.monotonic()
    for _ in range(20):
        with server.client() as client:
            assert is_sent_away(client)
    assert time.monotonic() - start < 5, "who is sent away is told at once"
    for client in inside[:5]:
        client.close()

    def comes_in():
        client = server.client()
        if is_sent_away(client):
            client.close()
            return False
        inside.append(client)
        return True

    for _ in range(5):
        wait_until(comes_in, "room after others left")
    for client in inside[5:]:
        assert client.get(status_path("EV")).json["total_participants"] == len(inside) - 5


def close_all(clients):
    for client in clients:
        client.close()


def test_few_open_files(servers):
    server = servers.start("--threads", "1", before_exec=limit_files(64))
    server.create("EV", 1000)
    inside = fill_up(server, 64)
    goes_on(server, inside, 16, 60)
    assert "limit of open files" in server.stderr()
    close_all(inside)
    wait_until(lambda: not is_sent_away(server.client()), "room")
    server.stop()


def test_too_few_open_files_for_a_server(servers):
    server = servers.new("--threads", "1", before_exec=limit_files(24))
    server.spawn()
    assert server.wait() == 1
    assert "limit of open files is 24" in server.stderr()


@pytest.mark.parametrize("limit", [48, 56, 64])
def test_threads_that_share_few_open_files(servers, limit):
    """None of them waits in silence, none of them spins."""
    server = servers.start("--threads", "1", before_exec=limit_files(limit))
    server.create("EV", 1000)
    inside = fill_up(server, 100)
    before = cpu_seconds(server)
    time.sleep(0.5)
    assert cpu_seconds(server) - before < 0.2
    close_all(inside)
    wait_until(lambda: not is_sent_away(server.client()), "room")
    server.stop()


def test_no_open_file_left(servers):
    """The limit is lowered while the server runs, to what it has open."""
    server = servers.start("--threads", "1")
    server.create("EV", 1000)
    inside = fill_up(server, 10)
    in_use = max(int(entry.name) for entry in fds_of(server))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (in_use + 1, in_use + 1))
    fill_gaps = fill_up(server, 40)
    goes_on(server, inside + fill_gaps, 10, 50)
    assert "event=connection_limit" in server.stderr()
    close_all(inside + fill_gaps)
    server.stop()


def fds_of(server):
    import pathlib
    return list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir())


def test_no_open_file_left_does_not_spin(servers):
    """Being at the limit costs no processor time."""
    server = servers.start("--threads", "1", "--connections-max", "10")
    server.create("EV", 1000)
    inside = fill_up(server, 20)
    in_use = max(int(entry.name) for entry in fds_of(server))
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (in_use + 1, in_use + 1))
    inside[0].get("/livez")
    before = cpu_seconds(server)
    time.sleep(1)
    assert cpu_seconds(server) - before < 0.3
    close_all(inside)


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize("threads", ["1", "2"])
def test_connections_max(servers, threads):
    server = servers.start("--threads", threads, "--connections-max", "20")
    server.create("EV", 1000)
    inside = fill_up(server, 40)
    goes_on(server, inside, 18, 20)
    assert "connections_max=20" in server.stderr()
    close_all(inside)
    server.stop()


def test_the_operator_gets_in_when_the_public_is_at_its_limit(servers):
    server = servers.start("--threads", "1", "--connections-max", "10")
    server.create("EV", 1000)
    inside = fill_up(server, 20)
    assert server.admin("GET", "/admin/v1/events/EV").status == 200
    close_all(inside)


# ---- work in flight ----

def test_too_much_in_flight_is_refused_before_anything_is_reserved(servers, disk):
    server = servers.start("--threads", "1", "--inflight-max", "16", "--answer-timeout", "30s",
                           **disk.preload)
    server.create("EV", 100)
    disk.hold()
    waiting = [server.client() for _ in range(16)]
    for n, client in enumerate(waiting):
        client.send(claim_bytes(f"in-{n}", "EV"))
    disk.await_held()
    time.sleep(0.1)
    refused = []
    for n in range(40):
        response = server.claim(f"out-{n}", "EV")
        problem(response, 503, "busy")
        refused.append(int(response.header("Retry-After")))
    assert len(set(refused)) > 1, "who was sent away should not come back all at once"
    assert server.get("/livez").status == 200
    assert server.get(status_path("EV")).status == 200
    problem(server.get(user_path("in-0", "EV")), 503, "busy")
    disk.release()
    serials = [client.response().json["serial"] for client in waiting]
    assert sorted(serials) == list(range(1, 17))
    assert {row["user_id"] for row in server.export("EV")} == {f"in-{n}" for n in range(16)}
    assert server.claim("out-0", "EV").json["serial"] == 17
    close_all(waiting)


def test_losers_need_no_place_in_flight(servers, disk):
    server = servers.start("--threads", "1", "--inflight-max", "16", "--answer-timeout", "30s",
                           **disk.preload)
    server.create("gone", 1)
    server.create("EV", 100)
    assert server.claim("ada", "gone").result == "issued"
    disk.hold()
    waiting = [server.client() for _ in range(16)]
    for n, client in enumerate(waiting):
        client.send(claim_bytes(f"in-{n}", "EV"))
    disk.await_held()
    with server.client() as client:
        for n in range(100):
            assert client.claim(f"late-{n}", "gone").result == "sold_out"
        assert client.claim("ada", "gone").result == "already_issued"
    disk.release()
    for client in waiting:
        assert client.response().result == "issued"
    close_all(waiting)


def test_a_pipeline_waits_for_room_instead(servers, disk):
    """One connection may have more to ask than there is room for: it is read as room comes."""
    server = servers.start("--threads", "1", "--inflight-max", "16", "--answer-timeout", "30s",
                           **disk.preload)
    server.create("EV", 1000)
    disk.set("fdatasync", delay_ms=20)
    with server.client() as client:
        client.send(b"".join(claim_bytes(f"u{n}", "EV") for n in range(300)))
        assert [client.response().json["serial"] for _ in range(300)] == list(range(1, 301))


def test_sold_out_is_not_final_before_it_is_durable(servers, disk):
    """While the last wins are on their way, nobody is told that all is over (I5)."""
    server = servers.start("--threads", "2", "--answer-timeout", "30s", **disk.preload)
    server.create("EV", 5)
    disk.hold()
    winners = [server.client() for _ in range(5)]
    for n, client in enumerate(winners):
        client.send(claim_bytes(f"u{n}", "EV"))
        time.sleep(0.02)
    disk.await_held()
    loser = server.client()
    loser.send(claim_bytes("loser", "EV"))
    time.sleep(0.3)
    assert all(client.is_open() for client in winners)
    if not loser.is_open() or loser.unread:
        assert loser.response().json["final"] is False
    disk.release()
    assert sorted(client.response().json["serial"] for client in winners) == [1, 2, 3, 4, 5]
    answer = loser.response().json
    assert (answer["result"], answer["final"]) == ("sold_out", True)
    close_all(winners + [loser])


# ---- time ----

def test_an_undecided_claim_is_pending_and_then_a_coupon(servers, disk):
    server = servers.start("--threads", "2", "--answer-timeout", "300ms", **disk.preload)
    server.create("EV", 5)
    disk.hold()
    start = time.monotonic()
    with server.client() as client:
        response = client.claim("ada", "EV")
        assert 0.2 < time.monotonic() - start < 3
        assert response.status == 202 and int(response.header("Retry-After")) >= 1
        body = response.json
        assert body["success"] is None and body["result"] == "pending"
        assert body["coupon_id"] is None
        look = client.get(body["status_url"])
        assert look.status == 202 and look.result == "pending"
        assert int(look.header("Retry-After")) >= 1
        again = client.claim("ada", "EV")
        assert again.status == 202 and again.result == "pending"
        assert server.status_of("EV")["total_participants"] == 0

        disk.release()
        found = wait_until(lambda: settled(client.get(body["status_url"])), "the coupon")
        assert found["coupon"]["serial"] == 1
        replay = client.claim("ada", "EV")
        assert replay.result == "already_issued"
        assert replay.json["coupon_id"] == found["coupon"]["coupon_id"]
    assert len(server.export("EV")) == 1


def settled(response):
    return response.json if response.status == 200 and response.json["coupon"] else None


def test_pending_answers_stay_in_order(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "300ms", **disk.preload)
    server.create("EV", 50)
    disk.hold()
    with server.client() as client:
        client.send(b"".join(claim_bytes(f"u{n}", "EV") for n in range(20))
                    + request_bytes("GET", "/livez"))
        for n in range(20):
            response = client.response()
            assert response.status == 202 and f"/user/u{n}/" in response.json["status_url"]
        assert client.response().json["status"] == "ok"
        disk.release()
        wait_until(lambda: server.status_of("EV")["total_participants"] == 20, "all decided")
        for n in range(20):
            assert client.claim(f"u{n}", "EV").json["serial"] == n + 1


def test_an_admin_write_in_doubt_is_pending(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "300ms", **disk.preload)
    disk.hold()
    response = server.admin("POST", "/admin/v1/events", {"event_id": "EV", "total_stock": 1})
    assert response.status == 202 and response.result == "pending"
    problem(server.claim("ada", "EV"), 404, "unknown_event", "event_id")
    disk.release()
    wait_until(lambda: server.admin("GET", "/admin/v1/events/EV").status == 200, "the event")
    assert server.claim("ada", "EV").result == "issued"


def test_health_says_that_the_journal_is_slow(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "300ms", **disk.preload)
    server.create("EV", 5)
    disk.hold()
    assert server.claim("ada", "EV").status == 202
    wait_until(lambda: server.health()["journal"]["status"] == "slow", "slow", 5)
    assert server.health()["status"] == "degraded"
    disk.release()
    wait_until(lambda: server.health()["status"] == "ok", "ok", 5)
