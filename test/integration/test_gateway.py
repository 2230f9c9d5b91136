# SPDX-License-Identifier: Apache-2.0
"""The files of deploy/nginx in a real NGINX: what it passes on and what not, how often, and how it is
said."""
import json
import re
import subprocess

import pytest
from client import ISSUE, problem, status_path, user_path
from gateway import STATUS, ask, echoed
from malformed import CLAIM, chunked, get, post

SMALL = [("zone=coupond_clients:32m rate=1000r/s", "zone=coupond_clients:32m rate=1r/m"),
         ("zone=coupond_clients burst=10000", "zone=coupond_clients burst=4")]


# ---- what is passed on ----

def test_nginx_finds_nothing_to_complain_of(gateway):
    done = gateway.test()
    assert done.returncode == 0 and "successful" in done.stderr, done
    assert "[warn]" not in done.stderr and "[emerg]" not in done.stderr, done


PASSED = [ISSUE, STATUS, user_path("ada", "EV"), "/livez", "/readyz", "/health", STATUS + "?a=b",
          user_path("a%40b", "E%56"), user_path("a%2Fb", "EV"), status_path("%3F"),
          "/api/v1/coupons/a//b", "/api/v1/coupons/%69ssue", "/api/v1/coupons/new"]


@pytest.mark.parametrize("target", PASSED)
def test_public_routes_are_passed_on_as_they_were_sent(gateway, seen, target):
    assert echoed(ask(gateway, target)) == target
    assert [one.target for one in seen] == [target]


NOT_PASSED = ["/", "/metrics", "/admin", "/admin/v1/events", "/admin/v1/stream", "/console/page.js",
              "/METRICS", "//metrics", "/./metrics", "/%6detrics", "/metrics?/livez", "/livez/",
              "/livez/../metrics", "/api/v1/coupons", "/api/v1/coupons/",
              "/api/v1/coupons/../../../metrics",
              "/api/v1/coupons/%2e%2e/%2e%2e/%2e%2e/admin/v1/events",
              "/api/v1/coupons/..%2f..%2f..%2fmetrics",
              "/api/../metrics", "//api/v1/coupons/issue", "/livez/api/v1/coupons/issue",
              "/metrics/livez", "/.problem/too-many", "/nginx_status", "http://localhost/metrics"]


@pytest.mark.parametrize("target", NOT_PASSED)
def test_nothing_else_is(gateway, seen, target):
    problem(ask(gateway, target), 404, "not_found")
    assert seen == []


def test_a_claim_is_passed_on_with_what_belongs_to_it(gateway, seen):
    fields = [("Idempotency-Key", "key-1"), ("Authorization", "Bearer a.b.c"), ("X-Request-Id", "r:1"),
              ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
              ("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST"),
              ("Access-Control-Request-Headers", "content-type")]
    with gateway.client() as client:
        answer = client.request("POST", ISSUE, CLAIM, fields)
    assert answer.json == {"target": ISSUE, "body": CLAIM.decode()}
    one, = seen
    assert (one.method, one.target, one.body) == ("POST", ISSUE, CLAIM)
    for name, value in [*fields, ("Content-Type", "application/json"), ("Host", "localhost"),
                        ("Content-Length", str(len(CLAIM))), ("X-Forwarded-For", "127.0.0.1"),
                        ("X-Forwarded-Proto", "http")]:
        assert one.header(name) == value, name


def test_the_host_is_that_of_the_target(gateway, seen):
    with gateway.client() as client:
        client.send(get(line=b"GET http://Shop.Example:81/livez HTTP/1.1"))
        assert echoed(client.response()) == "/livez"
    assert [one.header("Host") for one in seen] == ["shop.example"]


STRAY = [("Cookie", "a=b"), ("Forwarded", "for=192.0.2.1"), ("X-Real-IP", "192.0.2.1"),
         ("X_Forwarded_For", "192.0.2.1"), ("True-Client-IP", "192.0.2.1"), ("TE", "trailers"),
         ("Upgrade", "websocket"), ("X-HTTP-Method-Override", "DELETE"), ("X-Forwarded-Host", "other"),
         ("X-Original-URL", "/metrics"), ("Range", "bytes=0-1"),
         ("User-Agent", "somebody"), ("Keep-Alive", "timeout=5"),
         ("Connection", "close, X-Forwarded-For")]


def test_other_fields_are_not(gateway, seen):
    with gateway.client() as client:
        answer = client.request("GET", STATUS, fields=[*STRAY, ("X-Request-Id", "two words")])
    assert echoed(answer) == STATUS
    one, = seen
    assert sorted(name for name, _ in one.fields) == ["Host", "X-Forwarded-For", "X-Forwarded-Proto"], one
    assert one.header("X-Forwarded-For") == "127.0.0.1"


BELIEVED = [  # who speaks, X-Forwarded-For, who is the client
    ("127.1.0.7", None, "127.1.0.7"),
    ("127.1.0.7", "192.0.2.1", "127.1.0.7"),
    ("127.1.9.1", None, "127.1.9.1"),
    ("127.1.9.1", "192.0.2.1", "192.0.2.1"),
    ("127.1.9.1", "203.0.113.5, 192.0.2.1", "192.0.2.1"),
    ("127.1.9.1", "203.0.113.5, 192.0.2.1, 127.1.9.2", "192.0.2.1"),
    ("127.1.9.1", "2001:db8::1", "2001:db8::1"),
    ("127.1.9.1", "nobody", "127.1.9.1"),
]


@pytest.mark.parametrize("peer, forwarded, client", BELIEVED)
def test_only_trusted_proxies_say_who_the_client_is(gateway, seen, peer, forwarded, client):
    fields = {"X_Forwarded_For": forwarded} if forwarded else {}
    ask(gateway, source=peer, **fields)
    assert [one.header("X-Forwarded-For") for one in seen] == [client]


def test_continue_is_said_by_the_gateway(gateway, seen):
    with gateway.client() as client:
        client.send(post(b"Content-Length: %d" % len(CLAIM), b"Expect: 100-continue", body=b""))
        assert client.response().status == 100
        assert seen == []
        client.send(CLAIM)
        assert client.response().json["body"] == CLAIM.decode()
        assert seen[0].header("Expect") is None
    with gateway.client() as client:
        client.send(post(b"Content-Length: 4097", b"Expect: 100-continue", body=b""))
        problem(client.response(), 413, "body_too_large")


# ---- what is refused, and how it is said ----

REFUSED = [
    ("a body of 4,097 bytes", post(b"Content-Length: 4097", body=b" " * 4097), 413, "body_too_large"),
    ("chunks of 4,097 bytes", chunked(b"1001\r\n" + b" " * 4097 + b"\r\n0\r\n\r\n"), 413,
     "body_too_large"),
    ("a line of 9,000 bytes", get(line=b"GET /livez?" + b"x" * 9000 + b" HTTP/1.1"), 414,
     "request_line_too_long"),
    ("a field of 9,000 bytes", get(b"X: " + b"y" * 9000), 431, "fields_too_large"),
    ("fields of 40,000 bytes", get(*[b"X: " + b"y" * 1000] * 40), 431, "fields_too_large"),
    ("no request", b"hello?\r\n\r\n", 400, "bad_request"),
    ("a length and chunked", post(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400,
     "bad_request"),
    ("an unknown coding", post(b"Transfer-Encoding: gzip"), 400, "unknown_transfer_coding"),
    ("a trace", get(line=b"TRACE /livez HTTP/1.1"), 405, "method_not_allowed"),
    ("a tunnel", get(line=b"CONNECT localhost:80 HTTP/1.1"), 400, "bad_request"),
    ("another version", get(line=b"GET /livez HTTP/3.0"), 505, "unsupported_version"),
]


@pytest.mark.parametrize("data, status, code", [row[1:] for row in REFUSED],
                         ids=[row[0].replace(" ", "-") for row in REFUSED])
def test_refusals_are_problems(gateway, seen, data, status, code):
    with gateway.client() as client:
        client.send(data)
        answer = client.response()
        problem(answer, status, code)
        assert (answer.header("Allow") is not None) == (status == 405)
        assert status not in (400, 413, 414, 431, 505) or answer.header("Connection") == "close"
    assert seen == []


def test_a_body_of_4_kib_and_a_line_of_8_are_not(gateway, seen):
    body = CLAIM + b" " * (4096 - len(CLAIM))
    byte_by_byte = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with gateway.client() as client:
        for data in (post(b"Content-Length: 4096", body=body), chunked(byte_by_byte)):
            client.send(data)
            assert client.response().json["body"] == body.decode()
        line = b"GET /livez?" + b"x" * (8192 - len(b"GET /livez? HTTP/1.1\r\n")) + b" HTTP/1.1"
        client.send(get(b"X: " + b"y" * 8000, b"Y: " + b"y" * 7000, line=line))
        assert client.response().status == 200
    assert len(seen) == 3 and seen[1].header("Content-Length") == "4096"


def test_pages_of_listed_origins_may_read_refusals(start, behind):
    shop, other = "https://shop.example", "https://other.example"
    gateway = start([behind.address], origins=[shop])
    for origin, allowed in ((shop, shop), (other, None), (None, None)):
        answer = ask(gateway, "/nowhere", **({"Origin": origin} if origin else {}))
        problem(answer, 404, "not_found")
        assert answer.header("Access-Control-Allow-Origin") == allowed
        assert answer.header("Vary") == ("Origin" if allowed else None)
        assert ("Retry-After" in (answer.header("Access-Control-Expose-Headers") or "")) == bool(allowed)


def test_a_request_of_before_http_1_0_is_refused(gateway, seen):
    with gateway.client() as client:
        client.send(b"GET /livez\r\n")
        assert b'"code":"unsupported_version"' in client.rest()
    assert seen == []


# ---- how often ----

def limited(response):
    problem(response, 429, "rate_limited")
    assert 1 <= int(response.header("Retry-After")) <= 3
    assert response.header("RateLimit") == f'"address";r=0;t={response.header("Retry-After")}'
    assert re.match(r'"address";q=\d+;w=\d+, "all";', response.header("RateLimit-Policy"))


def test_each_address_has_its_bucket(start, behind, seen):
    gateway = start([behind.address], changes=SMALL, trusted=["127.1.9.0/24"], workers=2)
    for source in ("127.1.0.1", "127.1.0.2"):
        with gateway.client(source=source) as client:
            for _ in range(5):
                assert client.get(STATUS).status == 200
            for n in range(20):
                limited(client.request("GET", STATUS, fields=[("X-Forwarded-For", f"192.0.2.{n}")]))
            problem(client.get("/metrics"), 404)
            limited(client.request("POST", ISSUE, CLAIM))
    assert len(seen) == 10
    assert "limiting" not in gateway.said(), "a line for a request"

    def of(address):
        return ask(gateway, source="127.1.9.1", X_Forwarded_For=address).status

    for n in range(5):
        assert (of("192.0.2.1"), of("192.0.2.2")) == (200, 200)
    assert (of("192.0.2.1"), of("192.0.2.2"), of("192.0.2.3")) == (429, 429, 200)


NETWORKS = [  # addresses of one /64, and one beside it
    (["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", "2001:db8:1:2:ffff::"], "2001:db8:1:3::9"),
    (["2001:db8::1", "2001:db8:0:0:1::", "2001:db8::2:3:4:5"], "2001:db8:0:1::1"),
    (["2001:db8:7::1", "2001:db8:7:0:1:2:3:4"], "2001:db8:8::1"),
    (["2001::5:1:2:3:4", "2001:0:0:5::1"], "2001::6:1:2:3:4"),
    (["2001::1", "2001::1:0:0:0", "2001::1:2:3:4"], "2001:0:0:1::1"),
]


@pytest.mark.parametrize("inside, outside", NETWORKS)
def test_addresses_of_ipv6_have_one_for_64_bits(start, behind, inside, outside):
    gateway = start([behind.address], changes=SMALL, trusted=["127.1.9.0/24"])
    for address in (inside * 5)[:5]:
        assert ask(gateway, source="127.1.9.1", X_Forwarded_For=address).status == 200
    for address in inside:
        assert ask(gateway, source="127.1.9.1", X_Forwarded_For=address).status == 429
    assert ask(gateway, source="127.1.9.1", X_Forwarded_For=outside).status == 200


def test_all_together_have_one(start, behind):
    gateway = start([behind.address], changes=[
        ("zone=coupond_all:64k rate=100000r/s", "zone=coupond_all:64k rate=1r/m"),
        ("zone=coupond_all burst=100000", "zone=coupond_all burst=9")])
    answers = [ask(gateway, source=f"127.1.{n}.1") for n in range(15)]
    assert [answer.status for answer in answers] == [200] * 10 + [429] * 5
    for answer in answers[10:]:
        limited(answer)


# ---- TLS and HTTP/2 ----

SHOWN = ["-w", "\n%{http_version} %{http_code} %{ssl_verify_result}"]


@pytest.mark.parametrize("words, version", [
    (["--http2", "--tlsv1.3"], "2"), (["--http2", "--tls-max", "1.2"], "2"),
    (["--http1.1", "--tlsv1.3"], "1.1"), (["--http1.1", "--tls-max", "1.2"], "1.1")])
def test_tls_and_http_2(gateway, seen, words, version):
    done = gateway.curl(ISSUE, *words, *SHOWN, "-d", CLAIM.decode(), "-H",
                        "Content-Type: application/json", "-H", "Idempotency-Key: k", "-H",
                        "Authorization: Bearer t")
    body, shown = done.stdout.rsplit("\n", 1)
    assert shown == f"{version} 200 0", done
    assert json.loads(body) == {"target": ISSUE, "body": CLAIM.decode()}
    one, = seen
    assert one.header("X-Forwarded-Proto") == "https" and one.header("Host") == "localhost"
    assert one.header("Idempotency-Key") == "k" and one.header("Authorization") == "Bearer t"


def test_older_tls_is_refused(gateway, seen):
    done = gateway.curl("/livez", "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0")
    assert done.returncode in (35, 56), done
    assert seen == []


def test_refusals_are_problems_over_http_2_too(gateway, seen):
    for target, words, status, code in [("/metrics", [], 404, "not_found"),
                                        (ISSUE, ["-d", "x" * 5000], 413, "body_too_large"),
                                        (ISSUE, ["-d", "x" * 5000, "-H", "Content-Length:"], 413,
                                         "body_too_large"),
                                        (ISSUE, ["-X", "TRACE"], 405, "method_not_allowed")]:
        done = gateway.curl(target, "--http2", *words, *SHOWN)
        body, shown = done.stdout.rsplit("\n", 1)
        assert shown == f"2 {status} 0" and json.loads(body)["code"] == code, done
    assert seen == []


def test_http_at_the_port_of_https_is_told_so(gateway):
    client = gateway.client()
    client.close()
    with type(client)(("127.0.0.1", gateway.tls_port)) as client:
        problem(client.get("/livez"), 400, "bad_request")


def test_the_certificate_is_made_once_and_for_its_owner_alone(gateway, tmp_path):
    key, certificate = tmp_path / "certificate.key", tmp_path / "certificate.pem"

    def make(*words):
        return subprocess.run([gateway.folder / "make-certificate", *words], capture_output=True,
                              text=True, timeout=60, check=False)

    def about(*words):
        return subprocess.run(["openssl", "x509", "-in", certificate, "-noout", *words], text=True,
                              capture_output=True, check=True).stdout

    assert make(tmp_path, "shop.example", "192.0.2.1", "2001:db8::1").returncode == 0
    assert key.stat().st_mode & 0o777 == 0o600 and list(tmp_path.glob(".certificate*")) == []
    names = about("-ext", "subjectAltName")
    for name in ("DNS:localhost", "IP Address:127.0.0.1", "DNS:shop.example", "IP Address:192.0.2.1",
                 "IP Address:2001:DB8:0:0:0:0:0:1"):
        assert name in names
    first = key.read_bytes()
    assert make(tmp_path).returncode == 0 and key.read_bytes() == first, "it stays"

    # One of somebody else stays, though it is about to end; ours is made anew.
    for subject, stays in (("/CN=shop.example", True), ("/CN=coupond gateway, self-signed", False)):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", subject, "-keyout",
                        key, "-out", certificate], capture_output=True, check=True)
        first = key.read_bytes()
        assert make(tmp_path).returncode == 0 and (key.read_bytes() == first) == stays

    key.unlink()
    done = make(tmp_path)
    assert done.returncode == 1 and "only one is there" in done.stderr
    assert make(tmp_path, "a b").returncode == 1
    assert make().returncode == 2 and make(tmp_path / "nowhere").returncode == 1
