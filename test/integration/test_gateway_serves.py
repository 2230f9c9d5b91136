# SPDX-License-Identifier: Apache-2.0
"""NGINX and the serves behind it: those that fail or go, the connections to them, slow clients in
front, and coupond itself."""
import contextlib
import json
import subprocess
import threading
import time

import pytest
from client import Closed, ISSUE, problem, request_bytes, status_path, user_path
from gateway import STATUS, Recorder, ask, echoed, free_ports, post_claim, unreachable, usual
from harness import COUPOND, count, wait_until
from malformed import CLAIM, chunked, get, post


# ---- serves that fail ----

def test_nobody_there(start):
    gateway = start([("127.0.0.1", port) for port in free_ports(2)])
    for _ in range(3):
        unreachable(post_claim(gateway))
        unreachable(ask(gateway, X_Request_Id="r-1"))
    assert ask(gateway, X_Request_Id="r-1").header("X-Request-Id") == "r-1"


def test_a_claim_goes_on_where_no_connection_was_made(start):
    with Recorder() as recorder:
        gateway = start([("127.0.0.1", free_ports(1)[0]), recorder.address])
        for n in range(20):
            assert post_claim(gateway, f"user-{n}").status == 200
        assert [json.loads(one.body)["user_id"] for one in recorder.seen] == \
            [f"user-{n}" for n in range(20)]


def test_a_claim_that_was_sent_is_never_sent_again_and_a_question_is(start):
    """A serve that takes requests and ends without a word."""
    with Recorder(lambda seen, n: None) as mute, Recorder() as good:
        gateway = start([mute.address, good.address])
        until = time.monotonic() + 60
        users = 0
        while len(mute.seen) < 2 and time.monotonic() < until:
            answer = post_claim(gateway, f"user-{users}")
            users += 1
            if answer.status != 200:
                unreachable(answer)
                time.sleep(1.1)  # until it is tried again
        claimed = [json.loads(one.body)["user_id"] for one in mute.seen + good.seen]
        assert len(mute.seen) == 2 and sorted(claimed) == sorted(set(claimed)) and len(claimed) == users
        mute.seen.clear()
        wait_until(lambda: echoed(ask(gateway)) and mute.seen, "a question to the mute one", 60)


def test_a_serve_that_keeps_silent_is_not_waited_for(start):
    release = threading.Event()
    with Recorder(lambda seen, n: release.wait(60) and None) as silent:
        gateway = start([silent.address], changes=[("proxy_read_timeout 10s", "proxy_read_timeout 1s")])
        unreachable(post_claim(gateway))
        release.set()
        assert len(silent.seen) == 1


def test_half_an_answer_is_no_answer(start):
    def half(seen, n):
        return usual(seen, n)[:-5] if seen.method == "POST" else usual(seen, n)

    with Recorder(half) as recorder:
        gateway = start([recorder.address], changes=[("proxy_read_timeout 10s", "proxy_read_timeout 1s")])
        with gateway.client() as client, pytest.raises(Closed):
            client.claim("ada", "EV")
        assert echoed(ask(gateway)) == STATUS
        assert len(recorder.seen) == 2


def test_what_a_serve_says_is_told_as_it_is(start):
    said = (b"HTTP/1.1 503 Service Unavailable\r\nDate: Wed, 25 Nov 2026 09:00:00 GMT\r\n"
            b"Content-Type: application/problem+json\r\nRetry-After: 7\r\nX-Request-Id: r-1\r\n"
            b"Content-Length: 80\r\n\r\n")
    body = json.dumps({"title": "t", "detail": "d", "status": 503, "code": "busy"}).encode().ljust(80)
    with Recorder(lambda seen, n: said + body) as recorder:
        answer = post_claim(start([recorder.address]))
        problem(answer, 503, "busy")
        assert (answer.header("Retry-After"), answer.header("X-Request-Id")) == ("7", "r-1")


class Askers:
    """Threads that claim, each user once, over connections of their own; `status` by user."""

    def __init__(self, gateway, threads):
        self.gateway, self.status, self.stop = gateway, {}, threading.Event()
        self.wrong = []
        self.threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def _ask(self, number):
        try:
            with contextlib.ExitStack() as stack:
                client = stack.enter_context(self.gateway.client(seconds=60))
                n = 0
                while not self.stop.is_set():
                    user = f"user-{number}-{n}"
                    n += 1
                    answer = client.claim(user, "EV")
                    if answer.status != 200:
                        unreachable(answer)
                    self.status[user] = answer.status
                    if answer.header("Connection") == "close":
                        client = stack.enter_context(self.gateway.client(seconds=60))
        except (AssertionError, Closed, OSError) as error:
            self.wrong.append(error)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_one_of_two_ends_under_load(start, servers, how):
    """Others hear nothing of it, but for claims that were on their way to it; nobody's is sent twice."""
    both = [servers.start("--threads", "1", "--drain-timeout", "1s", "--sqlite", "none")
            for _ in range(2)]
    for one in both:
        one.create("EV", 1000000)
    both[0].flags += ["--listen", "{}:{}".format(*both[0].ready.public)]
    gateway = start([one.ready.public for one in both], changes=[("rate=1000r/s", "rate=1000000r/s")])
    threads = 8
    askers = Askers(gateway, threads)
    try:
        for _ in range(count(2, 10)):
            enough = len(askers.status) + 500
            wait_until(lambda: len(askers.status) > enough or askers.wrong, "claims", 120)
            getattr(both[0], how)()
            enough = len(askers.status) + 500
            wait_until(lambda: len(askers.status) > enough or askers.wrong, "claims of the other", 120)
            both[0].restart()
    finally:
        askers.end()
    assert askers.wrong == []
    failed = [user for user, status in askers.status.items() if status != 200]
    assert len(failed) <= threads * count(2, 10), "more than was on its way"
    holders = [{row["user_id"] for row in one.export("EV")} for one in both]
    assert not holders[0] & holders[1], "a claim was sent twice"
    assert all(holders), "both had work"
    told = {user for user, status in askers.status.items() if status == 200}
    assert told <= holders[0] | holders[1]


def test_serves_may_come_and_go(start):
    """Their list is written anew and read again; who comes meanwhile is served by one or the other."""
    with Recorder() as first, Recorder() as second:
        gateway = start([first.address])
        claims = []

        def is_served_by(one):
            claims.append(post_claim(gateway, f"user-{len(claims)}"))
            assert claims[-1].status == 200
            return one.seen

        wait_until(lambda: is_served_by(first), "a claim for the first")
        gateway.serve([second.address])
        wait_until(lambda: is_served_by(second), "a claim for the second", 60)
        assert len(first.seen) + len(second.seen) == len(claims)


# ---- connections ----

def test_connections_to_serves_are_kept(start):
    with Recorder() as recorder:
        gateway = start([recorder.address])
        for n in range(30):
            assert echoed(ask(gateway, status_path(f"EV{n}"))) == status_path(f"EV{n}")
            assert post_claim(gateway).status == 200
        assert recorder.connections == 1 and len(recorder.seen) == 60


def test_pipelined_requests_are_answered_in_order(gateway, seen):
    targets = [status_path(f"EV{n}") for n in range(50)]
    with gateway.client() as client:
        client.send(b"".join(request_bytes("GET", target) + request_bytes("POST", ISSUE, target.encode())
                             for target in targets))
        for target in targets:
            assert echoed(client.response()) == target
            assert client.response().json == {"target": ISSUE, "body": target}
    assert len(seen) == 100


SLOW = [b"G", b"GET /livez HTTP/1.1\r\nHost: a\r\n", post(b"Content-Length: 38", body=CLAIM[:-1]),
        chunked(b"26\r\n" + CLAIM[:-1])]


def is_ended(client):
    """Without a word, by an end or a reset."""
    try:
        return client.rest() == b""
    except ConnectionError:
        return True


def test_slow_clients_are_not_waited_for_and_nobody_behind_hears_of_them(start, behind, seen):
    gateway = start([behind.address], changes=[("client_header_timeout 10s", "client_header_timeout 1s"),
                                               ("client_body_timeout 10s", "client_body_timeout 1s")])
    clients = [gateway.client(seconds=30) for _ in SLOW * 10]
    for client, part in zip(clients, SLOW * 10):
        client.send(part)
    assert echoed(ask(gateway)) == STATUS, "others are served meanwhile"
    for client in clients:
        assert is_ended(client)
        client.close()
    assert [one.target for one in seen] == [STATUS]


# ---- with coupond behind it ----

def test_coupond_behind_it(start, servers, tmp_path):
    server = servers.start("--threads", "1")
    server.create("EV", 5)
    gateway = start([server.ready.public])
    with gateway.client() as client:
        first = client.claim("ada", "EV", Idempotency_Key="k-1")
        assert first.result == "issued"
        again = client.claim("ada", "EV")
        assert again.result == "already_issued" and again.header("Idempotent-Replayed") == "true"
        assert client.get(user_path("%61da", "EV")).json["coupon"]["coupon_id"] == first.json["coupon_id"]
        assert client.get(STATUS).json["total_participants"] == 1
        problem(client.claim("ada", "nowhere"), 404, "unknown_event", "event_id")
        problem(client.request("DELETE", ISSUE), 405, "method_not_allowed")
        problem(client.request("POST", ISSUE, b"{"), 400, "bad_json")
        client.send(get().replace(b"Host: localhost", b"Host: a,b"))
        problem(client.response(), 400, "bad_host")
    server.create("crowd", 100)
    report = tmp_path / "report.json"
    done = subprocess.run(
        [COUPOND, "load", "--url", "http://{}:{}".format(*gateway.address), "--event", "crowd", "--users",
         "3000", "--connections", "32", "--admin", server.admin_url, "--data-dir", str(server.data),
         "--json", str(report)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and "verified: " in done.stdout + done.stderr, done
    assert json.loads(report.read_text())["outcomes"]["issued"] == 100


def test_coupond_limits_by_the_address_that_the_gateway_tells(start, servers):
    server = servers.start("--threads", "1", "--trusted-proxies", "127.0.0.1", "--limit-address-rate",
                           "0.01", "--limit-address-burst", "3", "--cors-origin", "https://shop.example")
    server.create("EV", 100)
    gateway = start([server.ready.public])
    for source in ("127.1.0.1", "127.1.0.2"):
        with gateway.client(source=source) as client:
            for n in range(3):
                assert client.claim(f"{source}-{n}", "EV", X_Forwarded_For=f"192.0.2.{n}").status == 200
            refused = client.claim("ada", "EV", X_Request_Id="r-1", Origin="https://shop.example")
            assert "RateLimit" in str(refused.fields) and refused.header("X-Request-Id") == "r-1"
            assert problem(refused, 429, "rate_limited")["request_id"] == "r-1", "coupond's own"
            assert refused.header("Access-Control-Allow-Origin") == "https://shop.example"
            asks = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST")]
            assert client.request("OPTIONS", ISSUE, fields=asks).status == 204
