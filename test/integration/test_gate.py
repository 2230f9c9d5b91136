# SPDX-License-Identifier: Apache-2.0
"""Who comes to the public listener: how often an address and a user may ask, whom a proxy speaks for,
which pages of a browser may read the answers, and the ids that a request carries.

Clients of these tests are on this machine: a limit is for them with --limit-loopback, or when a
trusted proxy speaks for somebody.
"""
import re
import time

import pytest
from client import ISSUE, claim_bytes, problem, request_bytes, status_path, user_path
from harness import wait_until
from test_metrics import Watch, refused
from test_reload import Configured
from tokens import Tokens

HOUR = "0.01"  # a rate at which nothing comes back while a test runs


def forwarded(*lines):
    return [("X-Forwarded-For", line) for line in lines]


def claim(client, user, event="EV", fields=()):
    client.send(claim_bytes(user, event, fields))
    return client.response()


def until_limited(ask, at_most=100):
    """How many were answered before the first 429, and that one."""
    for n in range(at_most):
        response = ask(n)
        if response.status == 429:
            return n, response
        assert response.status == 200, response
    raise AssertionError(f"not one of {at_most} was too many")


def check_limited(response, name, burst, window):
    body = problem(response, 429, "rate_limited")
    wait = int(response.header("Retry-After"))
    assert response.header("RateLimit-Policy") == f'"{name}";q={burst};w={window}'
    assert response.header("RateLimit") == f'"{name}";r=0;t={wait}'
    assert name in body["detail"]
    return wait


# ---- limits ----

def test_an_address_that_asks_too_often(servers):
    server = servers.start("--limit-loopback", "--limit-address-rate", "0.5",
                           "--limit-address-burst", "3", "--limit-user-rate", "0")
    server.create("EV", 1000)
    start = time.monotonic()
    with server.client() as client:
        passed, response = until_limited(lambda n: claim(client, f"a-{n}"))
        assert 3 <= passed <= 3 + (time.monotonic() - start) / 2 + 1
        wait = check_limited(response, "address", 3, 6)
        assert 1 <= wait <= 5
        # Nothing was reserved; others, and what is not limited, go on.
        assert server.status_of("EV")["total_participants"] == passed
        with server.client(source="127.0.0.9") as other:
            assert claim(other, "b").json["serial"] == passed + 1
        assert client.get("/livez").status == 200
        time.sleep(wait)
        assert claim(client, f"a-{passed}").json["serial"] == passed + 2


def test_a_user_who_asks_too_often(servers):
    server = servers.start("--limit-loopback", "--limit-user-rate", "0.5", "--limit-user-burst", "4",
                           "--limit-address-rate", "0")
    server.create("EV", 1000)
    start = time.monotonic()
    ask = (lambda client, user: lambda n: claim(client, user) if n % 2 == 0
           else client.get(user_path(user, "EV")))
    with server.client() as client:
        passed, response = until_limited(ask(client, "ada"))
        assert 4 <= passed <= 4 + (time.monotonic() - start) / 2 + 1
        wait = check_limited(response, "user", 4, 8)
        assert 1 <= wait <= 3
        assert claim(client, "bob").result == "issued"
        time.sleep(wait)
        assert claim(client, "ada").result == "already_issued"
    # From another address it is the same user.
    with server.client(source="127.0.0.9") as other:
        until_limited(ask(other, "bob"))


def test_the_two_limits_are_apart(servers):
    server = servers.start("--limit-loopback", "--limit-user-rate", HOUR, "--limit-user-burst", "2",
                           "--limit-address-rate", HOUR, "--limit-address-burst", "6")
    server.create("EV", 1000)
    with server.client() as client, server.client(source="127.0.0.9") as other:
        told = [claim(client, user) for user in ("a", "a", "a", "b", "c", "d", "d", "e")]
        assert [answer.status for answer in told] == [200, 200, 429, 200, 200, 200, 429, 429]
        check_limited(told[2], "user", 2, 200)
        check_limited(told[6], "address", 6, 600)
        # Who was sent away for the address has not used up anything as a user.
        assert [claim(other, user).status for user in ("d", "d", "e")] == [200, 429, 200]
    assert [row["user_id"] for row in server.export("EV")] == ["a", "b", "c", "d", "e"]


def test_clients_of_this_machine_are_not_limited_unless_asked_for(servers):
    server = servers.start("--limit-user-rate", HOUR, "--limit-user-burst", "1",
                           "--limit-address-rate", HOUR, "--limit-address-burst", "1")
    server.create("EV", 10)
    with server.client() as client:
        assert {claim(client, "ada").status for _ in range(30)} == {200}
        assert "proxy_not_trusted" not in server.stderr()
        # A proxy that is not trusted hides everybody behind it, which is said once by each thread.
        assert {claim(client, "ada", fields=forwarded("8.8.8.8")).status for _ in range(30)} == {200}
    assert server.stderr().count("event=proxy_not_trusted") == 1


def test_no_limit_when_both_are_off(servers):
    server = servers.start("--limit-loopback", "--limit-user-rate", "0", "--limit-address-rate", "0")
    server.create("EV", 10)
    with server.client() as client:
        client.send(claim_bytes("ada", "EV") * 200)
        assert {client.response().status for _ in range(200)} == {200}


def test_the_defaults_let_a_person_and_a_crowd_behind_one_address_in(servers):
    server = servers.start("--limit-loopback")
    server.create("EV", 10)
    with server.client() as client:
        client.send(b"".join(claim_bytes(f"u{n}", "EV") for n in range(5000)))
        assert {client.response().status for _ in range(5000)} == {200}
        assert {claim(client, "ada").status for _ in range(20)} == {200}
        assert until_limited(lambda _: claim(client, "bob"), 5000)[0] >= 20


def test_a_request_that_waits_for_its_turn_counts_once(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "30s", "--limit-loopback",
                           "--limit-user-rate", HOUR, "--limit-user-burst", "3",
                           "--limit-address-rate", HOUR, "--limit-address-burst", "4",
                           **disk.preload)
    server.create("EV", 10)
    disk.hold()
    with server.client() as client:
        client.send(claim_bytes("ada", "EV") + claim_bytes("ada", "EV", [("Content-Type", "x")])
                    + request_bytes("GET", user_path("ada", "nothing"))
                    + request_bytes("GET", user_path("ada", "EV")))
        disk.await_held()
        disk.release()
        assert client.response().result == "issued"
        problem(client.response(), 415, "unsupported_media_type", "Content-Type")
        problem(client.response(), 404, "unknown_event", "event_id")
        assert client.response().json["coupon"]["serial"] == 1
        check_limited(claim(client, "bob"), "address", 4, 400)
    with server.client(source="127.0.0.9") as other:
        # Who was refused before it was clear who asks has not counted as a user.
        assert claim(other, "ada").status == 200
        check_limited(claim(other, "ada"), "user", 3, 300)


def test_too_many_are_counted_by_limit(servers):
    server = servers.start("--limit-loopback", "--limit-user-rate", HOUR, "--limit-user-burst", "1",
                           "--limit-address-rate", HOUR, "--limit-address-burst", "4")
    server.create("EV", 10)
    with Watch(server) as watch, server.client() as client:
        assert [claim(client, user).status for user in "aab"] == [200, 429, 200]
        assert client.get(user_path("a", "EV")).status == 429
        assert client.get(user_path("c", "EV")).status == 429
        assert claim(client, "d").status == 429
        assert watch.moved("coupond_rate_limited_total", "coupond_claims_refused_total") == {
            'coupond_rate_limited_total{limit="user"}': 2,
            'coupond_rate_limited_total{limit="address"}': 2, refused("rate_limited"): 2}


# ---- proxies ----

TRUSTED = "127.0.0.2, 127.0.1.0/24, 2001:db8:f::/48"
DIRECT, PROXY, INNER = "127.0.0.7", "127.0.0.2", "127.0.1.9"


@pytest.mark.parametrize("peer, lines, same, others", [
    # An untrusted peer is who it is, whatever it says.
    (DIRECT, ["198.51.100.1"], [["198.51.100.2"], ["127.0.0.2"], ["127.0.0.2, 8.8.8.8"], []], []),
    # A trusted one speaks for the one it names; what stands left of that one was made up.
    (PROXY, ["198.51.100.1"],
     [["198.51.100.1:99"], ["8.8.8.8, 198.51.100.1"], ["127.0.0.1, 198.51.100.1"],
      ["127.0.0.2, 198.51.100.1"], ["8.8.8.8", "198.51.100.1"], ["x, 198.51.100.1"],
      ["198.51.100.1, 127.0.1.1"], ["198.51.100.1", "127.0.1.1"], ["::ffff:198.51.100.1"],
      ["[::ffff:198.51.100.1]:5"]],
     [["198.51.100.2"], ["198.51.100.1, 198.51.100.3"], ["2001:db8::1"], []]),
    # A subscriber of IPv6 is a /64.
    (PROXY, ["2001:db8:1:2::1"], [["2001:db8:1:2:ffff::9"], ["[2001:db8:1:2:3::]:80"]],
     [["2001:db8:1:3::1"], ["2001:db8:2:2::1"]]),
    # What is no address is the proxy's own; and so is a proxy that speaks for nobody.
    (PROXY, ["unknown"], [[""], ["8.8.8.8, unknown"], ["8.8.8.8;1.1.1.1"], []], [["8.8.8.8"]]),
    # Only proxies all the way: the one that is furthest away.
    (PROXY, [INNER + ", 127.0.1.1"], [[INNER], [INNER, "127.0.1.1"]], [["127.0.1.8, 127.0.1.1"]]),
])
def test_whom_a_proxy_speaks_for(servers, peer, lines, same, others):
    server = servers.start("--threads", "1", "--limit-loopback", "--trusted-proxies", TRUSTED,
                           "--limit-address-rate", HOUR, "--limit-address-burst", "1")
    server.create("EV", 100)
    with server.client(source=peer) as client:
        assert claim(client, "first", fields=forwarded(*lines)).status == 200
        for n, again in enumerate(same):
            answer = claim(client, f"same-{n}", fields=forwarded(*again))
            assert answer.status == 429, again
        for n, other in enumerate(others):
            answer = claim(client, f"other-{n}", fields=forwarded(*other))
            assert answer.status == 200, other


def test_nobody_becomes_a_client_of_this_machine_by_a_header(servers):
    server = servers.start("--threads", "1", "--trusted-proxies", "127.0.0.2",
                           "--limit-address-rate", HOUR, "--limit-address-burst", "1")
    server.create("EV", 100)
    with server.client(source=PROXY) as client:
        for line in ("127.0.0.1", "::1", "127.0.0.2", "unknown"):
            told = [claim(client, "u", fields=forwarded(line)).status for _ in range(3)]
            assert told in ([200, 429, 429], [429] * 3), line  # the last two are the same client
        assert {claim(client, "u").status for _ in range(3)} == {200}


@pytest.mark.threads
def test_the_gate_is_reloaded_while_claims_go_on(servers):
    one = Configured(servers, "", "--limit-address-rate", HOUR, "--limit-address-burst", "1")
    one.server.create("EV", 1000)
    with one.server.client() as client:
        def told(address):
            return claim(client, "u", fields=forwarded(address)).status
        assert {told("198.51.100.1") for _ in range(3)} == {200}
        lines = one.reload("trusted-proxies = 127.0.0.0/8\n")
        assert any('option=trusted-proxies from="none" to="127.0.0.0/8"' in line for line in lines)
        assert [told("198.51.100.1") for _ in range(2)] == [200, 429]
        for n in range(20):
            one.reload(f"trusted-proxies = 127.0.0.0/8\nlimit-user-rate = {n + 100}\n")
            assert told("198.51.100.1") == 429
        lines = one.send("trusted-proxies = 10.0.0.1/8\n")
        assert "reload_refused" in lines[0] and "--trusted-proxies" in lines[0]
        assert told("198.51.100.1") == 429
        one.reload("limit-loopback = true\ncors-origin = https://a.example\n")
        assert [told("198.51.100.1") for _ in range(2)] == [200, 429]
        assert client.get(status_path("EV")).header("Vary") == "Origin"
        one.reload("")
        assert {told("198.51.100.1") for _ in range(3)} == {200}
        assert client.get(status_path("EV")).header("Vary") is None
    one.server.stop()


# ---- pages ----

ORIGIN = "https://shop.example"
ALLOW = "Access-Control-Allow-Origin"
EXPOSED = {"Retry-After", "RateLimit", "RateLimit-Policy", "Idempotent-Replayed", "X-Request-Id"}


def of(origin):
    return [("Origin", origin)]


def cors_names(response):
    return {name for name, _ in response.fields if name.startswith("Access-Control-") or name == "Vary"}


def readable(response, origin=ORIGIN):
    """A page of `origin` may read it."""
    assert response.header(ALLOW) == origin and response.header("Vary") == "Origin", response
    assert set(response.header("Access-Control-Expose-Headers").split(", ")) == EXPOSED
    return response


def unreadable(response):
    assert cors_names(response) == {"Vary"} and response.header("Vary") == "Origin", response
    return response


@pytest.fixture(name="pages")
def start_for_pages(servers):
    server = servers.start("--threads", "1", "--cors-origin", f"http://[::1]:3000, {ORIGIN}")
    server.create("EV", 2)
    return server


@pytest.mark.parametrize("path, methods", [
    (ISSUE, "POST"), (status_path("EV"), "GET, HEAD"), (user_path("ada", "EV"), "GET, HEAD")])
def test_a_browser_asks_before_it_sends(pages, path, methods):
    asked = [("Access-Control-Request-Method", "POST"),
             ("Access-Control-Request-Headers", "content-type,authorization")]
    with pages.client() as client:
        for origin in (ORIGIN, "http://[::1]:3000"):
            answer = readable(client.request("OPTIONS", path, fields=of(origin) + asked), origin)
            assert answer.status == 204 and answer.body == b""
            assert answer.header("Content-Length") is None and answer.header("Content-Type") is None
            assert answer.header("Access-Control-Allow-Methods") == methods
            assert set(answer.header("Access-Control-Allow-Headers").split(", ")) == {
                "Content-Type", "Authorization", "Idempotency-Key", "traceparent", "X-Request-Id"}
            assert int(answer.header("Access-Control-Max-Age")) > 0
            assert answer.header("Access-Control-Allow-Credentials") is None
        for origin in ("https://evil.example", "null", ORIGIN + ":443", ORIGIN.upper(), ""):
            answer = client.request("OPTIONS", path, fields=of(origin) + asked)
            problem(unreadable(answer), 405, "method_not_allowed")
        problem(unreadable(client.request("OPTIONS", path)), 405, "method_not_allowed")
        assert client.request("OPTIONS", path, fields=of(ORIGIN)).status == 204
        problem(readable(client.request("OPTIONS", "/api/v1/x", fields=of(ORIGIN))), 404)


def test_answers_are_readable_for_listed_origins_only(pages):
    with pages.client() as client:
        for user, result in (("ada", "issued"), ("ada", "already_issued"), ("bob", "issued"),
                             ("eve", "sold_out")):
            assert readable(claim(client, user, fields=of(ORIGIN))).result == result
            assert unreadable(claim(client, user, fields=of("https://evil.example"))).status == 200
            assert unreadable(claim(client, user)).status == 200
        for path in (status_path("EV"), user_path("ada", "EV"), user_path("eve", "EV")):
            for method in ("GET", "HEAD"):
                assert readable(client.request(method, path, fields=of(ORIGIN))).status == 200
        assert cors_names(client.request("GET", "/health", fields=of(ORIGIN))) == set()
    with pages.admin_client() as admin:
        for target in ("/admin/v1/events", "/api/x"):
            assert cors_names(admin.request("GET", target, fields=of(ORIGIN))) == set()


def test_refusals_are_readable_too(pages):
    with pages.client() as client:
        for body, fields, status in (({"user_id": 1}, [], 422), (b"{", [], 400),
                                     ({}, [("Content-Type", "text/plain")], 415),
                                     ({"user_id": "a", "event_id": "none"}, [], 404),
                                     ({}, [("Idempotency-Key", "\xe9")], 400)):
            answer = client.request("POST", ISSUE, body, of(ORIGIN) + fields)
            assert readable(answer).status == status
        assert readable(client.request("DELETE", ISSUE, fields=of(ORIGIN))).status == 405
        assert readable(client.request("GET", "/api/v1/x", fields=of(ORIGIN))).status == 404
        client.send(b"POST " + ISSUE.encode() + b" HTTP/1.1\r\nHost: a\r\nOrigin: " + ORIGIN.encode()
                    + b"\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 5000)
        assert readable(client.response()).status == 413


def test_waiting_and_refused_claims_are_readable(servers, disk):
    server = servers.start("--threads", "1", "--inflight-max", "16", "--answer-timeout", "300ms",
                           "--cors-origin", ORIGIN, "--limit-loopback", "--limit-user-rate", HOUR,
                           "--limit-user-burst", "2", **disk.preload)
    server.create("EV", 100)
    disk.hold()
    waiting = [server.client() for _ in range(16)]
    for n, client in enumerate(waiting):
        client.send(claim_bytes(f"u{n}", "EV", of(ORIGIN) if n % 2 else ()))
    for n, client in enumerate(waiting):
        answer = client.response()
        assert answer.status == 202
        (readable if n % 2 else unreadable)(answer)
    with server.client() as client:
        problem(readable(claim(client, "late", fields=of(ORIGIN))), 503, "busy")
        problem(readable(client.request("GET", user_path("u0", "EV"), fields=of(ORIGIN))), 503)
        problem(readable(client.request("GET", user_path("u0", "EV"), fields=of(ORIGIN))), 429)
    disk.release()
    for client in waiting:
        client.close()


def test_without_the_option_nothing_of_it_is_on_the_wire(servers):
    server = servers.start("--threads", "1")
    server.create("EV", 1)
    with server.client() as client:
        for user in ("ada", "ada", "eve"):
            assert cors_names(claim(client, user, fields=of(ORIGIN))) == set()
        answer = client.request("OPTIONS", ISSUE, fields=of(ORIGIN))
        problem(answer, 405, "method_not_allowed")
        assert cors_names(answer) == set() and answer.header("Allow") == "POST"


# ---- ids ----

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def ids(request_id, trace=TRACE):
    return [("X-Request-Id", request_id), ("traceparent", trace)]


def test_a_request_id_comes_back(server):
    server.create("EV", 1)
    with server.client() as client:
        client.send(b"".join(claim_bytes(user, "EV", ids(f"id-{user}")) for user in "abc")
                    + claim_bytes("d", "EV"))
        for user in "abc":
            assert client.response().header("X-Request-Id") == f"id-{user}"
        assert client.response().header("X-Request-Id") is None
        for target in (status_path("EV"), "/livez", "/health", user_path("a", "EV")):
            assert client.request("GET", target, fields=ids("x")).header("X-Request-Id") == "x"
        answer = client.request("GET", "/nothing", fields=ids("a:b/c=d"))
        assert problem(answer, 404)["request_id"] == answer.header("X-Request-Id") == "a:b/c=d"
        for bad in ("a b", 'a"b', "x" * 65, ""):
            answer = client.request("GET", "/nothing", fields=[("X-Request-Id", bad)])
            assert "request_id" not in problem(answer, 404)
            assert answer.header("X-Request-Id") is None
        assert "traceparent" not in {name for name, _ in answer.fields}
    # What is no request carries nothing, least of all what the one before has brought.
    with server.client() as client:
        client.send(request_bytes("GET", "/livez", fields=ids("before")) + b"nonsense\r\n\r\n")
        assert client.response().header("X-Request-Id") == "before"
        answer = client.response()
        assert "request_id" not in problem(answer, 400) and answer.header("X-Request-Id") is None
    assert "id-a" not in server.stderr(), "nothing is logged for a request that went well"


def test_errors_are_logged_with_the_ids(servers, disk):
    server = servers.start("--threads", "1", "--inflight-max", "16", "--answer-timeout", "60s",
                           **disk.preload)
    server.create("EV", 100)
    disk.hold()
    waiting = [server.client() for _ in range(16)]
    for n, client in enumerate(waiting):
        client.send(claim_bytes(f"u{n}", "EV", ids(f"waits-{n}")))
    disk.await_held()
    with server.client() as client:
        def logged(ask, request_id, trace):
            """A line a second is written: asks until one is of this request."""
            problem(ask(), 503, "busy")
            line = (rf"warn server event=answered status=503 code=busy request_id={request_id} "
                    rf"traceparent={trace}( dropped=\d+)?$")
            return re.search(line, server.stderr(), re.M)
        wait_until(lambda: logged(lambda: claim(client, "v", fields=ids("id-1")), "id-1", TRACE),
                   "the line of a claim")
        wait_until(lambda: logged(lambda: claim(client, "v", fields=ids("a b", "00-0-0-0")), "-", "-"),
                   "the line of one whose ids are malformed")
        wait_until(lambda: logged(lambda: client.request("GET", user_path("u0", "EV"),
                                                         fields=ids("id-2")), "id-2", TRACE),
                   "the line of a question")
    assert "waits-" not in server.stderr()
    disk.release()
    for client in waiting:
        assert client.response().header("X-Request-Id").startswith("waits-")
        client.close()


def test_a_stream_that_ends_too_early_is_logged_with_the_ids(server):
    server.create("EV", 40000)
    server.run("load", "--url", "http://{}:{}".format(*server.ready.public), "--event", "EV", "--users",
               "40000", "--connections", "16", "--pipeline", "64", "--no-verify-export")
    with server.admin_client(buffer_bytes=4096) as client:
        token = ("Authorization", f"Bearer {server.token}")
        client.send(request_bytes("GET", "/admin/v1/events/EV/export?format=ndjson",
                                  fields=[token, *ids("export-1")]))
        assert client.socket.recv(12) == b"HTTP/1.1 200"
    wait_until(lambda: f"event=stream_dropped request_id=export-1 traceparent={TRACE}"
               in server.stderr(), "the line of the stream")
    assert len(server.export("EV")) == 40000
    assert server.stderr().count("stream_dropped") == 1


# ---- with tokens ----

def test_nobody_uses_up_the_requests_of_another_by_name(servers, tmp_path):
    """And that there is no token is told in words that a page can read."""
    tokens = Tokens(tmp_path)
    server = servers.start("--threads", "1", *tokens.flags, "--cors-origin", ORIGIN, "--limit-loopback",
                           "--limit-user-rate", HOUR, "--limit-user-burst", "2")
    server.create("EV", 1)
    token = [("Authorization", f"Bearer {tokens.sign('ada')}")]
    with server.client() as client:
        for _ in range(5):
            problem(readable(claim(client, "ada", fields=of(ORIGIN))), 401, "token_missing",
                    "Authorization")
            problem(client.get(user_path("ada", "EV")), 401, "token_missing", "Authorization")
        assert claim(client, "ada", fields=token).result == "issued"
        # Losers are told so without a token, and nobody's requests are used up by that.
        assert {claim(client, "bob").result for _ in range(5)} == {"sold_out"}
        assert client.request("GET", user_path("ada", "EV"), fields=token).status == 200
        check_limited(claim(client, "ada", fields=token), "user", 2, 200)
