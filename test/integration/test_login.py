# SPDX-License-Identifier: Apache-2.0
"""Log-in for browsers: the cookie, what it is good for and where its power ends, and how guessing is
slowed without slowing anybody else.
"""
import re
import threading
import time

import pytest
from client import EVENTS, problem, request_bytes
from harness import wait_until

LOGIN, LOGOUT, STREAM = "/admin/v1/login", "/admin/v1/logout", "/admin/v1/stream"
pytestmark = pytest.mark.threads

SAME = [("Sec-Fetch-Site", "same-origin")]
addresses = (f"127.2.{i // 250}.{i % 250 + 1}" for i in range(10000))


def ask(server, method, target, body=None, fields=(), source=None):
    with server.admin_client(source=source) as client:
        return client.request(method, target, body, fields)


def log_in(server, token=None, fields=SAME, source=None):
    return ask(server, "POST", LOGIN, {"token": server.token if token is None else token}, fields,
               source)


def cookie_of(response):
    assert response.status == 200, response
    return ("Cookie", response.header("Set-Cookie").split(";")[0])


def session(server):
    return cookie_of(log_in(server))


def is_known(server, cookie):
    """Both doors say the same."""
    known = ask(server, "GET", EVENTS, fields=[cookie]).status == 200
    page = ask(server, "GET", "/", fields=[cookie]).body
    assert (b"console.js" in page) == known and (b"login.js" in page) != known
    return known


def metric(server, text):
    lines = ask(server, "GET", "/metrics").body.decode().splitlines()
    return [int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(text)][0]


# ---- the cookie ----

def test_the_cookie_is_for_this_origin_and_no_script(shared):
    response = log_in(shared)
    value, *attributes = response.header("Set-Cookie").split("; ")
    assert re.fullmatch(r"coupond_session=[0-9a-f]{64}", value)
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=28800"]
    assert response.header("Cache-Control") == "no-store"
    assert shared.token not in str(response)
    assert cookie_of(log_in(shared)) != cookie_of(response)
    proxied = log_in(shared, fields=[*SAME, ("X-Forwarded-Proto", "https")])
    assert proxied.header("Set-Cookie").endswith("; Secure")


def test_it_stands_for_the_token(shared):
    cookie = session(shared)
    assert is_known(shared, cookie)
    assert is_known(shared, ("Cookie", f"a=1; {cookie[1]}; b=2"))
    body = {"event_id": "by-cookie", "total_stock": 1}
    assert ask(shared, "POST", EVENTS, body, [cookie, *SAME]).status == 201
    assert ask(shared, "GET", f"{EVENTS}/by-cookie", fields=[cookie]).status == 200


@pytest.mark.parametrize("value", ["", "0" * 64, "x", "TOKEN", "0" * 63, "0" * 65])
def test_another_cookie_stands_for_nothing(shared, value):
    value = value.replace("TOKEN", shared.token)
    assert not is_known(shared, ("Cookie", f"coupond_session={value}"))


def test_a_wrong_token_beside_a_good_cookie_is_wrong(shared):
    fields = [session(shared), ("Authorization", "Bearer wrong")]
    problem(ask(shared, "GET", EVENTS, fields=fields, source=next(addresses)), 401, "unauthorized")


def test_log_out_ends_it_for_good(shared):
    cookie, other = session(shared), session(shared)
    response = ask(shared, "POST", LOGOUT, fields=[cookie, *SAME])
    assert response.status == 200
    assert response.header("Set-Cookie").startswith("coupond_session=; ")
    assert "Max-Age=0" in response.header("Set-Cookie")
    assert not is_known(shared, cookie) and is_known(shared, other)
    assert ask(shared, "POST", LOGOUT, fields=[cookie, *SAME]).status == 200  # again: nothing


def test_it_ends_with_the_process(servers):
    server = servers.start("--threads", "1")
    cookie = session(server)
    server.kill()
    server.restart()
    assert not is_known(server, cookie)
    short = servers.start("--session-timeout", "1m")
    assert log_in(short).header("Set-Cookie").endswith("Max-Age=60")


def test_the_oldest_makes_room(shared):
    first = session(shared)
    for _ in range(64):
        last = session(shared)
    assert not is_known(shared, first) and is_known(shared, last)
    wait_until(lambda: metric(shared, "coupond_admin_sessions ") == 64, "64 sessions counted")


@pytest.mark.parametrize("body", [{}, {"token": 1}, {"token": None}], ids=str)
def test_a_body_without_a_token(shared, body):
    problem(ask(shared, "POST", LOGIN, body, SAME), 422, "invalid_field", "token")


@pytest.mark.parametrize("body", [[], b"{", b"", b'{"token":"a","token":"b"}'], ids=str)
def test_a_body_that_is_no_object(shared, body):
    problem(ask(shared, "POST", LOGIN, body, SAME), 400, "bad_json")


def test_other_types_are_no_token(shared):
    form = [("Content-Type", "application/x-www-form-urlencoded"), *SAME]
    problem(ask(shared, "POST", LOGIN, f"token={shared.token}".encode(), form), 415,
            "unsupported_media_type", "Content-Type")


def test_nothing_of_it_is_public(shared):
    for method, target in [("POST", LOGIN), ("POST", LOGOUT), ("GET", STREAM), ("GET", "/"),
                           ("GET", "/console/console.js")]:
        with shared.client() as client:
            problem(client.request(method, target), 404, "not_found")


# ---- other sites ----

OTHERS = [[], [("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")],
          [("Sec-Fetch-Site", "none")], [("Origin", "null")], [("Origin", "http://evil.example")],
          [("Origin", "http://localhost:1")], [("Origin", "localhost")],
          [("Origin", "ftp://localhost")], [("Origin", "http://localhost.evil.example")],
          [("Sec-Fetch-Site", "cross-site"), ("Origin", "http://localhost")]]


@pytest.mark.parametrize("fields", OTHERS, ids=str)
def test_another_site_changes_nothing(shared, fields):
    cookie = session(shared)
    body = {"event_id": "forged", "total_stock": 1}
    problem(ask(shared, "POST", EVENTS, body, [cookie, *fields]), 403, "cross_site")
    problem(ask(shared, "POST", f"{EVENTS}/forged/pause", {}, [cookie, *fields]), 403, "cross_site")
    problem(ask(shared, "POST", LOGOUT, fields=[cookie, *fields]), 403, "cross_site")
    assert is_known(shared, cookie)
    problem(ask(shared, "GET", f"{EVENTS}/forged", fields=[cookie]), 404, "unknown_event",
            "event_id")
    if fields:
        problem(log_in(shared, fields=fields), 403, "cross_site")


@pytest.mark.parametrize("origin", ["http://localhost", "https://LOCALHOST"])
def test_this_site_without_fetch_metadata_may(shared, origin):
    fields = [session(shared), ("Origin", origin)]
    assert ask(shared, "POST", f"{EVENTS}/nowhere/pause", {}, fields).status == 404
    assert log_in(shared, fields=[("Origin", origin)]).status == 200


def test_a_bearer_needs_no_origin(shared):
    fields = [("Authorization", f"Bearer {shared.token}"), ("Origin", "http://evil.example")]
    assert ask(shared, "POST", f"{EVENTS}/nowhere/pause", {}, fields).status == 404


# ---- guessing ----

def held_guess(server, source, target=LOGIN):
    """A wrong token whose answer has not come."""
    client = server.admin_client(source=source)
    if target == LOGIN:
        client.send(request_bytes("POST", LOGIN, {"token": "wrong"}, SAME))
    else:
        client.send(request_bytes("GET", target, None, [("Authorization", "Bearer wrong")]))
    return client


def test_a_wrong_token_is_refused_later_and_logged(server):
    source = next(addresses)
    problem(log_in(server, "wrong", source=source), 401, "unauthorized")
    problem(ask(server, "GET", EVENTS, fields=[("Authorization", "Bearer wrong")], source=source),
            401, "unauthorized")
    assert f"event=login_failed address={source} how=page failures=1" in server.stderr()
    assert metric(server, 'coupond_admin_logins_total{result="refused"}') == 2
    assert metric(server, 'coupond_admin_logins_total{result="accepted"}') == 0
    assert "wrong" not in server.stderr().replace("event=login_failed", "")


def test_the_next_guess_is_not_before_the_last_is_answered(server):
    """Four answers are held; what comes then from there is not looked at, right or wrong."""
    source, other = next(addresses), next(addresses)
    for _ in range(4):  # so that the next ones are held for seconds
        log_in(server, "wrong", source=source)
    held = [held_guess(server, source, target) for target in (LOGIN, EVENTS, LOGIN, EVENTS)]
    wait_until(lambda: metric(server, 'coupond_admin_logins_total{result="refused"}') == 8, "held")
    for token in ("wrong", server.token):
        refused = log_in(server, token, source=source)
        problem(refused, 429, "too_many_failures")
        assert int(refused.header("Retry-After")) > 0
    problem(ask(server, "GET", EVENTS, fields=[("Authorization", f"Bearer {server.token}")],
                source=source), 429, "too_many_failures")
    assert all(client.is_open() for client in held)
    # Who comes from elsewhere, or is logged in, notices nothing.
    cookie = cookie_of(log_in(server, source=other))
    assert ask(server, "GET", EVENTS, fields=[cookie], source=source).status == 200
    assert server.admin("GET", EVENTS).status == 200
    for client in held:
        problem(client.response(), 401, "unauthorized")
        client.close()
    assert log_in(server, source=source).status == 200  # now it is looked at
    assert metric(server, 'coupond_admin_logins_total{result="held_off"}') == 3


def test_operators_behind_a_trusted_proxy_are_told_apart(servers):
    server = servers.start("--threads", "1", "--trusted-proxies", "127.0.0.0/8")
    by = [[*SAME, ("X-Forwarded-For", address)] for address in
          ("203.0.113.9", "2001:db8:1:2::3", "2001:db8:1:2::4", "198.51.100.7")]
    for fields in by[:3]:
        problem(log_in(server, "wrong", fields), 401, "unauthorized")
        time.sleep(1.1)  # a line a second
    assert re.findall(r"event=login_failed (address=.*)", server.stderr()) == [
        "address=203.0.113.9 how=page failures=1", "address=2001:db8:1:2::3 how=page failures=1",
        "address=2001:db8:1:2::4 how=page failures=2"]
    for _ in range(4):  # so that the next ones are held for seconds
        log_in(server, "wrong", by[0])
    held = [server.admin_client() for _ in range(4)]
    for client in held:
        client.send(request_bytes("POST", LOGIN, {"token": "wrong"}, by[0]))
    wait_until(lambda: metric(server, 'coupond_admin_logins_total{result="refused"}') == 11, "held")
    problem(log_in(server, fields=by[0]), 429, "too_many_failures")
    assert log_in(server, fields=by[3]).status == 200
    assert log_in(server).status == 200


def test_who_is_no_trusted_proxy_speaks_for_nobody_else(server):
    fields = [*SAME, ("X-Forwarded-For", "203.0.113.9")]
    source = next(addresses)
    problem(log_in(server, "wrong", fields, source), 401, "unauthorized")
    assert f"event=login_failed address={source} how=page failures=1" in server.stderr()


def test_who_leaves_is_forgotten_and_others_stay(server):
    sources = [next(addresses) for _ in range(8)]
    for source in sources:
        held_guess(server, source).close()
    with server.admin_client(source=sources[0]) as client:  # behind a guess on the same connection
        client.send(request_bytes("POST", LOGIN, {"token": "wrong"}, SAME) +
                    request_bytes("POST", LOGIN, {"token": server.token}, SAME))
        problem(client.response(), 401, "unauthorized")
        assert client.response().status == 200
    assert metric(server, 'coupond_admin_logins_total{result="accepted"}') == 1


def test_more_addresses_than_places(server):
    """64 answers are held in all; the rest are told to come later, and nobody waits for good."""
    answers = []

    def guess():
        answers.append(log_in(server, "wrong", source=source).status)

    threads = []
    for _ in range(100):
        source = next(addresses)
        threads.append(threading.Thread(target=guess))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {401, 429} and answers.count(401) >= 64
    assert server.admin("GET", EVENTS).status == 200


def test_a_stop_does_not_wait_for_guesses(server):
    source = next(addresses)
    for _ in range(5):
        log_in(server, "wrong", source=source)
    client = held_guess(server, source)
    wait_until(lambda: metric(server, 'coupond_admin_logins_total{result="refused"}') == 6, "held")
    server.terminate()
    problem(client.response(), 401, "unauthorized")
    client.close()
    assert server.wait() == 0


# ---- what every answer of this listener says to a browser ----

@pytest.mark.parametrize("target", ["/", "/console/console.js", EVENTS, "/health", "/metrics",
                                    "/nowhere"])
def test_security_headers(shared, target):
    fields = [("Authorization", f"Bearer {shared.token}")]
    response = ask(shared, "GET", target, fields=fields)
    policy = response.header("Content-Security-Policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy
    assert response.header("X-Frame-Options") == "DENY"
    assert response.header("X-Content-Type-Options") == "nosniff"
    assert response.header("Referrer-Policy") == "no-referrer"
    if target not in ("/metrics", "/nowhere"):
        assert response.header("Cache-Control") == "no-store"
    assert shared.get("/health").header("Content-Security-Policy") is None


@pytest.mark.parametrize("name, kind", [
    ("console.css", "text/css"), ("console.js", "text/javascript"), ("icon.svg", "image/svg+xml"),
    ("console.html", "text/html"), ("login.html", "text/html")])
def test_files_of_the_page(shared, name, kind):
    response = ask(shared, "GET", f"/console/{name}")
    assert response.status == 200 and response.header("Content-Type").startswith(kind)
    assert shared.token.encode() not in response.body
    head = ask(shared, "HEAD", f"/console/{name}")
    assert head.status == 200 and head.body == b""


@pytest.mark.parametrize("name", ["nothing.js", "..%2fconsole.js", "CONSOLE.JS", ".."])
def test_other_files_are_not_there(shared, name):
    problem(ask(shared, "GET", f"/console/{name}"), 404, "not_found")
