# SPDX-License-Identifier: Apache-2.0
"""Where a request begins and ends: what is refused, the limits, pieces of any size, pipelining,
keep-alive, half-closed clients. A request that is read at the wrong place is a security hole.
"""
import json
import pathlib
import random
import re
import socket
import struct
import time

import pytest
from client import Closed, ISSUE, claim_bytes, problem, request_bytes, status_path, user_path
from malformed import CLAIM, MALFORMED, chunked, get, head, post

HUGE = 1000000


@pytest.fixture(scope="module", autouse=True)
def event(shared):
    """The event that the requests of malformed.py name, and that is never sold out."""
    shared.create("EV", HUGE)
    return "EV"


def smuggled(shared):
    return shared.coupon_of("smuggled", "EV")


# ---- refused ----

@pytest.mark.parametrize("data, status", [(data, status) for _, data, status in MALFORMED],
                         ids=[name.replace(" ", "-") for name, _, _ in MALFORMED])
def test_malformed(shared, data, status):
    """Refused in words, the connection ends, and nothing behind it is taken for a request."""
    with shared.client() as client:
        client.send(data + claim_bytes("smuggled", "EV") * 2)
        response = client.response()
        problem(response, status)
        assert response.header("Connection") == "close"
        client.expect_end()
    assert smuggled(shared) is None


def test_malformed_behind_a_good_one(shared):
    """The good request is answered, even when it has to wait for the engine; then the refusal."""
    for n, (_, data, status) in enumerate(MALFORMED):
        with shared.client() as client:
            client.send(claim_bytes(f"before-{n}", "EV") + data + claim_bytes("smuggled", "EV"))
            assert client.response().json["user_id"] == f"before-{n}"
            assert client.response().status == status
            client.expect_end()
    assert smuggled(shared) is None


def in_pieces(shared, data, cuts_of):
    """Sends `data` over one connection a cut, all at once, in two pieces with a pause between."""
    clients = [(shared.client(), cut) for cut in cuts_of]
    try:
        for client, cut in clients:
            client.send(data[:cut])
        time.sleep(0.05)
        for client, cut in clients:
            client.send(data[cut:])
        for client, cut in clients:
            yield client, cut
    finally:
        for client, _ in clients:
            client.close()


@pytest.mark.parametrize("data, status", [(data, status) for _, data, status in MALFORMED[::5]],
                         ids=[name.replace(" ", "-") for name, _, _ in MALFORMED[::5]])
def test_malformed_in_two_pieces(shared, data, status):
    whole = data + claim_bytes("smuggled", "EV")
    for client, cut in in_pieces(shared, whole, range(1, min(len(data), 300))):
        assert client.response().status == status, f"cut at {cut}"
        client.expect_end()
    assert smuggled(shared) is None


# ---- limits ----

def padded_line(n):
    """A request line of n bytes."""
    return b"GET /" + b"x" * (n - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"


def padded_fields(n):
    """Header fields of n bytes, line ends and all, without the empty line."""
    fields = b"Host: localhost\r\n"
    while n - len(fields) > 1100:
        fields += b"X: " + b"y" * 995 + b"\r\n"
    return fields + b"X: " + b"y" * (n - len(fields) - 5) + b"\r\n"


@pytest.mark.parametrize("over", [0, 1])
def test_the_request_line_may_be_8_kib(shared, over):
    with shared.client() as client:
        line = padded_line(8192 + over)
        assert len(line) == 8192 + over
        client.send(get(line=line))
        if over:
            problem(client.response(), 414, "request_line_too_long")
            client.expect_end()
        else:
            problem(client.response(), 404, "not_found")
            assert client.get("/livez").status == 200


@pytest.mark.parametrize("over", [0, 1])
def test_the_header_fields_may_be_16_kib(shared, over):
    with shared.client() as client:
        fields = padded_fields(16384 + over)
        assert len(fields) == 16384 + over
        client.send(b"GET /livez HTTP/1.1\r\n" + fields + b"\r\n")
        if over:
            problem(client.response(), 431, "fields_too_large")
            client.expect_end()
        else:
            assert client.response().status == 200
            assert client.get("/livez").status == 200


@pytest.mark.parametrize("over", [0, 1])
def test_there_may_be_100_header_fields(shared, over):
    with shared.client() as client:
        client.send(get(*[b"X: y"] * (99 + over)))
        if over:
            problem(client.response(), 431, "too_many_fields")
            client.expect_end()
        else:
            assert client.response().status == 200
            assert client.get("/livez").status == 200


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_the_body_may_be_4_kib(shared, over, is_chunked):
    body = CLAIM.replace(b"smuggled", b"padded") + b" " * (4096 + over)
    body = body[:4096 + over]
    with shared.client() as client:
        if is_chunked:
            pieces = [body[:1000], body[1000:4000], body[4000:]]
            framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            client.send(chunked(framed + b"0\r\n\r\n"))
        else:
            client.send(post(b"Content-Length: %d" % len(body), body=body))
        if over:
            problem(client.response(), 413, "body_too_large")
            client.expect_end()
        else:
            assert client.response().json["user_id"] == "padded"
            assert client.get("/livez").status == 200


@pytest.mark.parametrize("data, status", [
    (b"GET /" + b"x" * 9000, 414), (b"x" * 9000, 414), (b"GET /livez HTTP/1.1\r\nX: " + b"y" * 17000, 431),
    (b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * 101, 431),
    (post(b"Content-Length: 4097", body=b""), 413), (chunked(b"1001\r\n"), 413),
], ids=["line", "method", "field", "fields", "length", "chunk"])
def test_a_limit_is_told_before_all_has_come(shared, data, status):
    with shared.client() as client:
        client.send(data)
        assert client.response().status == status
        client.expect_end()


def test_limits_are_options(servers):
    server = servers.start("--request-line-max", "256", "--headers-max", "300", "--body-max", "256",
                           "--header-fields-max=4")
    for data, status in [(get(line=padded_line(256)), 404), (get(line=padded_line(257)), 414),
                         (get(*[b"X: y"] * 3), 200), (get(*[b"X: y"] * 4), 431),
                         (b"GET /livez HTTP/1.1\r\n" + padded_fields(300) + b"\r\n", 200),
                         (b"GET /livez HTTP/1.1\r\n" + padded_fields(301) + b"\r\n", 431),
                         (request_bytes("POST", ISSUE, b"x" * 256), 400),
                         (request_bytes("POST", ISSUE, b"x" * 257), 413)]:
        with server.client() as client:
            client.send(data)
            assert client.response().status == status, data


# ---- bodies ----

def as_one(body):
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def with_extensions(body):
    return b'00%X;name=value;q="a;b"\r\n%s\r\n000;x\r\n\r\n' % (len(body), body)


def with_trailers(body):
    return (b"1\r\n%s\r\n%x\r\n%s\r\n0\r\nTrailer-Field: value\r\nAnother: one\r\n\r\n"
            % (body[:1], len(body) - 1, body[1:]))


def as_bytes(body):
    return b"".join(b"1\r\n%c\r\n" % c for c in body) + b"0\r\n\r\n"


@pytest.mark.parametrize("framing", [as_one, with_extensions, with_trailers, as_bytes])
@pytest.mark.parametrize("coding", [b"chunked", b"ChUnKeD", b"  chunked\t"])
def test_a_chunked_body_is_read_right(shared, framing, coding):
    user = f"{framing.__name__}-{coding.decode().strip()}"
    body = json.dumps({"user_id": user, "event_id": "EV"}).encode()
    data = post(b"Transfer-Encoding: " + coding, body=framing(body))
    with shared.client() as client:
        client.send(data + request_bytes("GET", "/livez"))
        assert client.response().json["user_id"] == user
        assert client.response().status == 200


def test_expect_100_continue(shared):
    for user, field, rest in (("by-length", b"Content-Length: 39", lambda body: body),
                              ("by-chunks", b"Transfer-Encoding: chunked", as_one)):
        body = CLAIM.replace(b"smuggled", user.encode())
        with shared.client() as client:
            client.send(post(b"Expect: 100-Continue", field, body=b""))
            response = client.response()
            assert (response.status, response.fields) == (100, [])
            assert client.is_open(), "one word is enough"
            client.send(rest(body) + request_bytes("GET", "/livez"))
            assert client.response().json["user_id"] == user
            assert client.response().status == 200


def test_no_100_where_none_is_due(shared):
    """The body has come already; there is none; it is refused; the client speaks 1.0."""
    expect = ("Expect", "100-continue")
    with shared.client() as client:
        client.send(claim_bytes("prompt", "EV", [expect]))
        assert client.response().json["user_id"] == "prompt"
        assert client.request("GET", "/livez", None, [expect]).status == 200
        assert client.request("POST", ISSUE, b"", [expect]).status == 400
        client.send(post(b"Expect: 100-continue", b"Content-Length: 4097", body=b""))
        assert client.response().status == 413
        client.expect_end()
    with shared.client() as client:
        client.send(head(b"POST /api/v1/coupons/issue HTTP/1.0", b"Content-Type: application/json",
                         b"Expect: 100-continue", b"Content-Length: 38"))
        time.sleep(0.1)
        assert client.is_open()
        client.send(CLAIM.replace(b"smuggled", b"old-time"))
        assert client.response().json["user_id"] == "old-time"


def test_a_100_waits_for_the_answers_before_it(shared):
    with shared.client() as client:
        client.send(b"".join(claim_bytes(f"first-{n}", "EV") for n in range(5))
                    + post(b"Expect: 100-continue", b"Content-Length: 38", body=b""))
        for n in range(5):
            assert client.response().json["user_id"] == f"first-{n}"
        assert client.response().status == 100
        client.send(CLAIM.replace(b"smuggled", b"after-it"))
        assert client.response().json["user_id"] == "after-it"


def test_a_get_with_a_body_is_framed_by_it(shared):
    with shared.client() as client:
        hidden = claim_bytes("smuggled", "EV")
        client.send(request_bytes("GET", "/livez", hidden) + request_bytes("GET", "/readyz"))
        assert client.response().status == 200
        assert client.response().json["status"] == "ready"
        assert client.is_open()
    assert smuggled(shared) is None


# ---- pieces ----

@pytest.mark.parametrize("kind", ["length", "chunked", "pipelined"])
def test_good_requests_cut_anywhere(shared, kind):
    """Whatever the pieces, the answers are the same."""
    user = {"length": "cut-by-1", "chunked": "cut-by-2", "pipelined": "cut-by-3"}[kind]
    body = CLAIM.replace(b"smuggled", user.encode())
    data = {"length": post(b"Content-Length: 38", body=body),
            "chunked": chunked(with_trailers(body)),
            "pipelined": b"\r\n" + get() + post(b"Content-Length: 38", body=body) + get()}[kind]
    expected = {"pipelined": [b'"ok"', user.encode(), b'"ok"']}.get(kind, [user.encode()])
    for client, cut in in_pieces(shared, data, range(1, len(data))):
        for part in expected:
            response = client.response()
            assert response.status == 200 and part in response.body, f"cut at {cut}: {response}"
        assert client.is_open(), f"cut at {cut}"


def test_good_requests_byte_by_byte(shared):
    body = CLAIM.replace(b"smuggled", b"by-bytes")
    data = (b"\r\n" + post(b"Content-Length: 38", b"Expect: 100-continue", body=body)
            + chunked(with_trailers(body)) + get())
    with shared.client() as client:
        for n in range(len(data)):
            client.send(data[n:n + 1])
            time.sleep(0.0005)
        for status in (100, 200, 200, 200):
            assert client.response().status == status
        assert client.is_open()


CORPUS = pathlib.Path(__file__).parents[1] / "fuzz" / "corpus" / "http_request"


def answers_to(clients):
    """What each client is told until its connection ends: the statuses, in order."""
    return [re.findall(rb"HTTP/1\.1 (\d{3}) ", client.rest()) for client in clients]


def read_in_pieces(shared, data, cuts):
    """The answers to `data`, behind a good request and half-closed after it, in pieces that end at
    each of `cuts`; over one connection a tuple of cuts, all at once."""
    clients = [shared.client() for _ in cuts]
    try:
        for n in range(len(cuts[0]) + 1):
            for client, ends in zip(clients, cuts):
                client.send(data[ends[n - 1] if n else 0:ends[n] if n < len(ends) else len(data)])
            time.sleep(0.02)
        for client in clients:
            client.end()
        return answers_to(clients)
    finally:
        for client in clients:
            client.close()


def test_the_corpus_of_the_fuzzer_cut_anywhere(shared):
    """Whatever came first and whatever the pieces, each input gets the answers that it gets whole."""
    some = random.Random(5)
    inputs = sorted(CORPUS.iterdir())
    assert len(inputs) >= 50
    inputs = inputs[::len(inputs) // 12]
    for path in inputs:
        data = get() + path.read_bytes()
        whole = read_in_pieces(shared, data, [()])[0]
        assert whole and whole[0] == b"200", path.name
        cuts = [tuple(sorted(some.sample(range(1, len(data)), 2))) for _ in range(8)]
        for cut, answers in zip(cuts, read_in_pieces(shared, data, cuts)):
            assert answers == whole, f"{path.name} cut at {cut}"


def test_a_pipeline_in_three_pieces(shared):
    body = CLAIM.replace(b"smuggled", b"thirds")
    data = (get() + chunked(with_trailers(body)) + post(b"Content-Length: 36", body=body)
            + b"\r\n" + get() + get(line=b"GET / HTTP/2.0"))
    some = random.Random(6)
    cuts = [tuple(sorted(some.sample(range(1, len(data)), 2))) for _ in range(80)]
    expected = [b"200", b"200", b"200", b"200", b"505"]
    for cut, answers in zip(cuts, read_in_pieces(shared, data, cuts)):
        assert answers == expected, f"cut at {cut}"


# ---- pipelining ----

def test_100_requests_in_one_write(servers):
    """Winners, repeats, losers, looks and errors, mixed: every answer in its place, and true there."""
    server = servers.start("--threads", "2")
    server.create("piped", 20)
    data, checks = b"", []

    def add(request, check):
        nonlocal data
        data += request
        checks.append(check)

    def is_claim_of(user, result):
        def check(response):
            assert response.result == result, response
            if result != "sold_out":
                assert response.json["user_id"] == user
        return check

    def is_status(taken):
        return lambda response: response.json["total_participants"] == taken or pytest.fail(
            f"{response} instead of {taken}")

    for n in range(20):
        add(claim_bytes(f"u{n}", "piped"), is_claim_of(f"u{n}", "issued"))
        add(claim_bytes(f"u{n // 2}", "piped"), is_claim_of(f"u{n // 2}", "already_issued"))
        add(claim_bytes(f"u{n}", "nowhere"), lambda r: problem(r, 404, "unknown_event", "event_id"))
        if n % 2:
            add(request_bytes("GET", status_path("piped")), is_status(n + 1))
        else:
            add(request_bytes("GET", user_path(f"u{n}", "piped")),
                lambda r, n=n: r.json["coupon"]["serial"] == n + 1 or pytest.fail(f"{r} is not {n}"))
        if n % 4 == 0:
            add(request_bytes("POST", ISSUE, {}), lambda r: problem(r, 422, None, "user_id"))
            add(request_bytes("HEAD", "/livez"), None)
    while len(checks) < 120:
        add(claim_bytes(f"late-{len(checks)}", "piped"), is_claim_of(None, "sold_out"))
    with server.client() as client:
        client.send(data)
        for check in checks:
            response = client.response(is_head=check is None)
            if check is not None:
                check(response)
        assert client.is_open()


def test_a_deep_pipeline_is_answered_whole(shared):
    shared.create("deep", 3000)
    with shared.client() as client:
        client.send(b"".join(claim_bytes(f"u{n}", "deep") for n in range(4000)))
        results = [client.response().json for _ in range(4000)]
    assert [body.get("serial") for body in results] == list(range(1, 3001)) + [None] * 1000


@pytest.mark.parametrize("first", [lambda: request_bytes("GET", "/livez", None,
                                                         [("Connection", "close")]),
                                   lambda: request_bytes("GET", "/livez", version="1.0"),
                                   lambda: claim_bytes("closer", "EV", [("Connection", "close")]),
                                   lambda: claim_bytes("closer", "nowhere",
                                                       [("Connection", "x, CLOSE")])],
                         ids=["get", "1.0", "claim", "refused"])
def test_nothing_behind_the_last_request_is_read(shared, first):
    with shared.client() as client:
        client.send(request_bytes("GET", "/readyz") + first() + claim_bytes("smuggled", "EV"))
        assert client.response().header("Connection") is None
        assert client.response().header("Connection") == "close"
        client.expect_end()
    assert smuggled(shared) is None


def test_http_1_0_is_told_what_becomes_of_its_connection(shared):
    """Kept only where the answer says so (RFC 9112 C.2.2); this server says that it ends."""
    with shared.client() as client:
        keep = [("Connection", "keep-alive")]
        response = client.request("GET", "/livez", None, keep, version="1.0")
        assert response.status == 200 and response.header("Connection") == "close"
        client.expect_end()


# ---- half-closed ----

def test_a_half_closed_client_gets_its_answers(shared):
    with shared.client() as client:
        client.send(b"".join(claim_bytes(f"half-{n}", "EV") for n in range(150))
                    + request_bytes("GET", "/livez"))
        client.end()
        for n in range(150):
            assert client.response().json["user_id"] == f"half-{n}"
        assert client.response().status == 200
        client.expect_end()


def test_a_half_closed_client_gets_a_late_answer(servers, disk):
    server = servers.start(**disk.preload)
    server.create("slow", 10)
    disk.hold()
    with server.client() as client:
        client.send(claim_bytes("ada", "slow") + claim_bytes("bob", "slow"))
        client.end()
        disk.await_held()
        time.sleep(0.3)
        disk.release()
        assert client.response().json["serial"] == 1
        assert client.response().json["serial"] == 2
        client.expect_end()


@pytest.mark.parametrize("cut", [10, 60, -40, -1])
def test_a_client_that_leaves_in_the_middle(shared, cut):
    with shared.client() as client:
        client.send(post(b"Content-Length: 38")[:cut])
        client.end()
        rest = client.rest()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")
    assert smuggled(shared) is None


def test_clients_that_are_gone_before_their_answer(servers, disk):
    """Their claims are decided all the same; nobody else's answer goes astray."""
    server = servers.start("--threads", "1", **disk.preload)
    server.create("gone", 100)
    disk.hold()
    for n in range(30):
        client = server.client()
        client.send(claim_bytes(f"gone-{n}", "gone"))
        disk.await_held()
        client.close()
    with server.client() as client:
        client.send(claim_bytes("stays", "gone"))
        disk.release()
        assert client.response().json["user_id"] == "stays"
    holders = {row["user_id"] for row in server.export("gone")}
    assert holders >= {"gone-0", "stays"} and holders <= {f"gone-{n}" for n in range(30)} | {"stays"}
    for user in holders:
        assert server.claim(user, "gone").result == "already_issued"


# ---- resets ----

def test_a_reset_is_nobodys_harm(shared):
    for n in range(50):
        client = shared.client()
        client.send(claim_bytes(f"reset-{n}", "EV") * 3 + b"POST /api")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert shared.get("/livez").status == 200


def test_an_end_is_an_end(shared):
    """After a refusal the client still may send for a while: no reset takes the answer away."""
    with shared.client() as client:
        client.send(b"nonsense\r\n")
        time.sleep(0.2)
        client.send(b"x" * 100000)
        assert client.response().status == 400
        with pytest.raises(Closed):
            client.response()
