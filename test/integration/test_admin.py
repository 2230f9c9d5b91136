# SPDX-License-Identifier: Apache-2.0
"""The admin listener: who may, what an event may be, its list and export; and the coupon codes."""
import csv
import io
import json
import math
import re
import stat

import pytest
from client import EVENTS, ISSUE, claim_bytes, problem, request_bytes, status_path

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
strangers = (f"127.3.0.{i}" for i in range(1, 255))  # who fails again from one address waits longer


def bearer(token):
    return [("Authorization", f"Bearer {token}")]


# ---- who may ----

ROUTES = [("POST", EVENTS), ("GET", EVENTS), ("GET", f"{EVENTS}/door"),
          ("GET", f"{EVENTS}/door/export?format=csv"), ("GET", f"{EVENTS}/nowhere"),
          ("HEAD", EVENTS)]


@pytest.mark.parametrize("method, target", ROUTES)
@pytest.mark.parametrize("fields", [
    [], [("Authorization", "")], [("Authorization", "Bearer")], [("Authorization", "Bearer ")],
    bearer("wrong"), bearer("0" * 64), [("Authorization", "Basic TOKEN")],
    [("Authorization", "TOKEN")], [("Authorization", "Bearer TOKENx")],
    [("Authorization", "Bearer  TOKEN")], [("Authorization", "Bearer TOKE")],
    [("Cookie", "token=TOKEN")],
], ids=lambda fields: fields[0][1] or "empty" if fields else "none")
def test_a_stranger_is_refused(shared, method, target, fields):
    fields = [(name, value.replace("TOKEN", shared.token).replace("TOKE", shared.token[:-1]))
              for name, value in fields]
    body = {"event_id": "stranger", "total_stock": 1} if method == "POST" else None
    with shared.admin_client(source=next(strangers)) as client:
        response = client.request(method, target, body, fields)
        assert response.header("WWW-Authenticate").startswith("Bearer")
        if method != "HEAD":
            problem(response, 401, "unauthorized")
        assert response.status == 401
    problem(shared.get(status_path("stranger")), 404, "unknown_event", "event_id")


def test_the_scheme_is_in_any_case(shared):
    with shared.admin_client() as client:
        fields = [("Authorization", f"bEARER {shared.token}")]
        assert client.request("GET", EVENTS, None, fields).status == 200


def test_the_admin_routes_are_not_on_the_public_door(shared):
    with shared.client() as client:
        problem(client.request("GET", EVENTS, None, bearer(shared.token)), 404, "not_found")
        problem(client.request("POST", EVENTS, {}, bearer(shared.token)), 404, "not_found")


def test_claims_are_not_on_the_admin_door(shared):
    with shared.admin_client() as client:
        problem(client.request("POST", ISSUE, {}), 404, "not_found")
        assert client.get("/health").status == 200 and client.get("/livez").status == 200


def test_the_secrets_are_for_nobody_else(shared):
    secrets = [path for path in shared.data.iterdir()
               if path.suffix == ".key" or path.name == "admin.token"]
    assert len(secrets) == 2
    for path in secrets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert re.fullmatch(r"[0-9a-f]{64}\n", path.read_text()), path
    assert stat.S_IMODE(shared.data.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["admin.token", "code-1.key"])
def test_a_secret_that_others_may_read_is_refused(servers, name):
    server = servers.start()
    server.stop()
    (server.data / name).chmod(0o644)
    server.spawn()
    assert server.wait() == 1
    assert name in server.stderr() and "chmod 600" in server.stderr()


# ---- making an event ----

def test_a_new_event_is_there_for_every_thread_at_once(servers):
    server = servers.start("--threads", "4")
    clients = [server.client() for _ in range(24)]  # spread over the threads by the kernel
    for n in range(20):
        server.create(f"now-{n}", 1)
        for client in clients:
            assert client.get(status_path(f"now-{n}")).status == 200
    for client in clients:
        client.close()


def test_what_was_made_is_told(shared):
    made = shared.create("told", 7, starts_at="2030-01-01T00:00:00Z",
                         ends_at="2030-01-02T03:04:05.678+09:00",
                         code={"prefix": "SPRING-", "alphabet": "0123456789", "length": 30},
                         operator="grace", reason="spring sale")
    shown = shared.admin("GET", f"{EVENTS}/told")
    assert shown.status == 200 and shown.json == made
    assert made["event_id"] == "told" and made["total_stock"] == made["remaining_stock"] == 7
    assert made["total_participants"] == 0 and made["status"] == "scheduled"
    assert made["starts_at"] == "2030-01-01T00:00:00.000Z"
    assert made["ends_at"] == "2030-01-01T18:04:05.678Z"
    assert made["code"] == {"prefix": "SPRING-", "alphabet": "0123456789", "length": 30}
    assert made["created_at"]


def test_an_event_is_made_once(shared):
    shared.create("once", 3)
    shared.claim("ada", "once")
    response = shared.admin("POST", EVENTS, {"event_id": "once", "total_stock": 9})
    problem(response, 409, "event_exists")
    assert shared.status_of("once")["total_stock"] == 3
    assert shared.claim("ada", "once").result == "already_issued"


GOOD = {"event_id": "never-made", "total_stock": 1}


@pytest.mark.parametrize("change, field", [
    ({"event_id": None}, "event_id"), ({"event_id": 1}, "event_id"), ({"event_id": ""}, "event_id"),
    ({"event_id": "a b"}, "event_id"), ({"event_id": "e" * 65}, "event_id"),
    ({"event_id": "a\u0000"}, "event_id"), ({"event_id": "é"}, "event_id"),
    ({"total_stock": None}, "total_stock"), ({"total_stock": 0}, "total_stock"),
    ({"total_stock": -1}, "total_stock"), ({"total_stock": 1000001}, "total_stock"),
    ({"total_stock": 1.5}, "total_stock"), ({"total_stock": "5"}, "total_stock"),
    ({"total_stock": True}, "total_stock"), ({"total_stock": 4294967297}, "total_stock"),
    ({"total_stock": 9223372036854775807}, "total_stock"),
    ({"starts_at": 5}, "starts_at"), ({"starts_at": "tomorrow"}, "starts_at"),
    ({"starts_at": "2030-02-30T00:00:00Z"}, "starts_at"),
    ({"starts_at": "2030-01-01T00:00:00"}, "starts_at"), ({"starts_at": ""}, "starts_at"),
    ({"starts_at": "2030-01-01"}, "starts_at"), ({"ends_at": "2030-13-01T00:00:00Z"}, "ends_at"),
    ({"ends_at": []}, "ends_at"), ({"ends_at": "2030-01-01T24:00:01Z"}, "ends_at"),
    ({"starts_at": "2030-01-01T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}, "ends_at"),
    ({"starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}, "ends_at"),
    ({"code": "short"}, "code"), ({"code": []}, "code"),
    ({"code": {"prefix": 1}}, "code.prefix"), ({"code": {"prefix": "p" * 17}}, "code.prefix"),
    ({"code": {"prefix": "a b"}}, "code"), ({"code": {"prefix": "=A"}}, "code"),
    ({"code": {"alphabet": 7}}, "code.alphabet"), ({"code": {"alphabet": "a" * 65}}, "code.alphabet"),
    ({"code": {"alphabet": "0123456780"}}, "code"), ({"code": {"alphabet": "012345678"}}, "code"),
    ({"code": {"alphabet": "0123456789-"}}, "code"),
    ({"code": {"length": 0}}, "code.length"), ({"code": {"length": 65}}, "code.length"),
    ({"code": {"length": "16"}}, "code.length"), ({"code": {"length": 15}}, "code"),
    ({"code": {"alphabet": "0123456789", "length": 24}}, "code"),
    ({"operator": 1}, "operator"), ({"operator": "o" * 65}, "operator"),
    ({"operator": "a\nb"}, "operator"), ({"reason": "r" * 257}, "reason"),
    ({"reason": ["x"]}, "reason"), ({"reason": "\u007f"}, "reason"),
], ids=str)
def test_a_bad_field_is_named(shared, change, field):
    body = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    response = shared.admin("POST", EVENTS, body)
    assert response.status == 422, response
    named = response.json["field"]
    assert named == field or field == "code" and named.startswith("code."), response
    problem(response, 422, "invalid_field", named)
    problem(shared.get(status_path("never-made")), 404, "unknown_event", "event_id")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"null", b"{}{}",
                                  b'{"event_id":"a","event_id":"b","total_stock":1}',
                                  b'{"event_id":"\xff","total_stock":1}',
                                  b'{"event_id":"a","total_stock":1e}', b"[" * 3000])
def test_what_is_no_json_object(shared, body):
    problem(shared.admin("POST", EVENTS, body), 400, "bad_json")


def test_an_event_needs_json_and_its_fields(shared):
    with shared.admin_client() as client:
        fields = bearer(shared.token)
        plain = [*fields, ("Content-Type", "text/plain")]
        problem(client.request("POST", EVENTS, GOOD, plain), 415, "unsupported_media_type",
                "Content-Type")
        problem(client.request("POST", EVENTS, {}, fields), 422, "invalid_field", "event_id")
        problem(client.request("POST", EVENTS, {"event_id": "x"}, fields), 422, "invalid_field",
                "total_stock")
        response = client.request("DELETE", EVENTS, None, fields)
        problem(response, 405, "method_not_allowed")
        assert {"GET", "POST"} <= {word.strip() for word in response.header("Allow").split(",")}
        response = client.request("PUT", f"{EVENTS}/x", {}, fields)
        problem(response, 405, "method_not_allowed")
        problem(client.request("POST", f"{EVENTS}/x/nothing", {}, fields), 404, "not_found")


@pytest.mark.parametrize("stock", [1, 1000000])
def test_the_smallest_and_the_largest_stock(servers, stock):
    server = servers.start("--threads", "1")
    server.create("extreme", stock)
    assert server.claim("ada", "extreme").json["remaining_stock"] == stock - 1
    server.kill()
    server.restart()
    assert server.status_of("extreme")["remaining_stock"] == stock - 1


def test_writes_are_answered_in_order_with_what_stands_behind_them(shared):
    with shared.admin_client() as client:
        fields = bearer(shared.token)
        client.send(b"".join(
            request_bytes("POST", EVENTS, {"event_id": f"piped-{n}", "total_stock": 1}, fields)
            + request_bytes("GET", f"{EVENTS}/piped-{n}", None, fields) for n in range(20)))
        for n in range(20):
            for status in (201, 200):
                response = client.response()
                assert (response.status, response.json["event_id"]) == (status, f"piped-{n}")


# ---- the list and the export ----

def test_the_list_has_every_event(servers):
    server = servers.start()
    assert server.admin("GET", EVENTS).json == {"events": []}
    names = [f"listed-{n}" for n in range(700)]  # more than one piece of the answer
    with server.admin_client() as client:
        for name in names:
            body = {"event_id": name, "total_stock": 1}
            client.send(request_bytes("POST", EVENTS, body, bearer(server.token)))
        for name in names:
            assert client.response().status == 201
    listed = server.admin("GET", EVENTS).json["events"]
    assert [event["event_id"] for event in listed] == names
    assert listed[5] == server.admin("GET", f"{EVENTS}/listed-5").json


def test_show_and_export_of_an_unknown_event(shared):
    for target in (f"{EVENTS}/nowhere", f"{EVENTS}/nowhere/export?format=csv", f"{EVENTS}/a.b"):
        problem(shared.admin("GET", target), 404, "unknown_event", "event_id")


@pytest.mark.parametrize("query", ["format=xml", "format=", "x=1", "format=CSV"])
def test_an_export_in_no_known_format(shared, query):
    if shared.get(status_path("formats")).status == 404:
        shared.create("formats", 1)
    response = shared.admin("GET", f"{EVENTS}/formats/export?{query}")
    problem(response, 422, "invalid_field", "format")


def sell(server, event, stock):
    """Sells all of `event`; the answers by user."""
    server.create(event, stock)
    told = {}
    with server.client() as client:
        for start in range(0, stock, 64):
            users = [f"user.{n}" for n in range(start, min(start + 64, stock))]
            client.send(b"".join(claim_bytes(user, event) for user in users))
            for user in users:
                told[user] = client.response().json
    assert {body["result"] for body in told.values()} == {"issued"}
    return told


@pytest.mark.parametrize("stock", [1, 300, 5000])
def test_the_export_is_what_was_told(shared, stock):
    event = f"exported-{stock}"
    told = sell(shared, event, stock)
    expected = [{"event_id": event, "serial": body["serial"], "user_id": user,
                 "coupon_id": body["coupon_id"], "issued_at": body["issued_at"]}
                for user, body in sorted(told.items(), key=lambda item: item[1]["serial"])]
    assert [row["serial"] for row in expected] == list(range(1, stock + 1))

    response = shared.admin("GET", f"{EVENTS}/{event}/export?format=ndjson")
    assert response.header("Content-Type") == "application/x-ndjson"
    assert response.body.endswith(b"}\n")
    assert [json.loads(line) for line in response.body.splitlines()] == expected
    assert shared.admin("GET", f"{EVENTS}/{event}/export").body == response.body

    response = shared.admin("GET", f"{EVENTS}/{event}/export?format=csv")
    assert response.header("Content-Type") == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.body.decode(), newline="")))
    assert [{**row, "serial": int(row["serial"])} for row in rows] == expected
    assert response.body.count(b"\r\n") == stock + 1


def test_an_export_of_nobody(shared):
    shared.create("nobody", 5)
    assert shared.admin("GET", f"{EVENTS}/nobody/export?format=ndjson").body == b""
    heading = shared.admin("GET", f"{EVENTS}/nobody/export?format=csv").body
    assert heading == b"event_id,serial,user_id,coupon_id,issued_at\r\n"


def test_an_export_to_http_1_0_ends_with_the_connection(shared):
    told = sell(shared, "ancient", 50)
    with shared.admin_client() as client:
        client.send(request_bytes("GET", f"{EVENTS}/ancient/export?format=ndjson", None,
                                  bearer(shared.token), version="1.0"))
        response = client.response()
        assert response.header("Transfer-Encoding") is None
        assert len(response.body.splitlines()) == len(told)


def test_requests_behind_an_export_are_answered(shared):
    sell(shared, "piped", 3000)
    fields = bearer(shared.token)
    with shared.admin_client() as client:
        export = request_bytes("GET", f"{EVENTS}/piped/export?format=csv", None, fields)
        client.send(export + request_bytes("GET", "/livez") + export + request_bytes("GET", "/livez"))
        first, live, second, last = [client.response() for _ in range(4)]
        assert first.body == second.body and first.body.count(b"\r\n") == 3001
        assert live.status == last.status == 200


# ---- coupon codes ----

def is_plausible(code, alphabet, prefix=""):
    """Luhn mod N of the characters behind the prefix, the last being the check character."""
    assert code.startswith(prefix)
    size, total, factor = len(alphabet), 0, 1
    for character in reversed(code[len(prefix):]):
        addend = factor * alphabet.index(character)
        total += addend // size + addend % size if size % 2 == 0 else addend % size
        factor = 3 - factor
    return total % size == 0


def test_the_usual_code(shared):
    codes = [body["coupon_id"] for body in sell(shared, "usual", 500).values()]
    assert len(set(codes)) == 500
    for code in codes:
        assert re.fullmatch(f"[{CROCKFORD}]{{17}}", code), code
        assert is_plausible(code, CROCKFORD), code
    assert len({code[:4] for code in codes}) > 450, "no common beginning"


@pytest.mark.parametrize("prefix, alphabet, length", [
    ("", "0123456789", 25), ("SALE-26-", "ABCDEFGHJKLMNPQRSTUVWXYZ", 20),
    ("x", "abcdefghijk", 64), ("A" * 16, CROCKFORD, 16),
])
def test_a_code_of_ones_own_shape(shared, prefix, alphabet, length):
    assert length * math.log2(len(alphabet)) >= 80
    event = f"own-{len(alphabet)}-{length}"
    shape = {"prefix": prefix, "alphabet": alphabet, "length": length}
    shared.create(event, 40, code=shape)
    seen = set()
    for n in range(40):
        code = shared.claim(f"user-{n}", event).json["coupon_id"]
        assert re.fullmatch(f"{prefix}[{alphabet}]{{{length + 1}}}", code), code
        assert is_plausible(code, alphabet, prefix), code
        seen.add(code)
    assert len(seen) == 40


def test_codes_come_from_the_key_alone(servers):
    """The same after a restart, the same elsewhere under the same key, others under another key."""
    first = servers.start()
    first.create("codes", 3)
    codes = [first.claim(f"u{n}", "codes").json["coupon_id"] for n in range(3)]
    first.kill()
    first.restart()
    assert [first.claim(f"u{n}", "codes").json["coupon_id"] for n in range(3)] == codes

    copy, other = servers.new(), servers.start()
    copy.data.mkdir(mode=0o700)
    give_key(copy, "code-1.key", (first.data / "code-1.key").read_text().strip())
    copy.start()
    for server in (copy, other):
        server.create("codes", 3)
    assert [copy.claim(f"v{n}", "codes").json["coupon_id"] for n in range(3)] == codes
    assert other.claim("u0", "codes").json["coupon_id"] != codes[0]


def give_key(server, name, digits):
    key = server.data / name
    key.touch(0o600)
    key.write_text(digits + "\n")


def test_a_journal_without_any_key_is_not_given_a_new_one(servers):
    server = servers.start()
    server.create("keyless", 3)
    code = server.claim("ada", "keyless").json["coupon_id"]
    server.stop()
    aside = server.folder / "aside"
    (server.data / "code-1.key").rename(aside)
    server.spawn()
    assert server.wait() == 1
    assert "no key file" in server.stderr() and str(server.data) in server.stderr()
    aside.rename(server.data / "code-1.key")
    server.restart()
    assert server.claim("ada", "keyless").json["coupon_id"] == code


def test_an_event_whose_key_is_missing_is_refused_by_name(servers):
    server = servers.start()
    server.create("keyless", 3)
    server.claim("ada", "keyless")
    server.stop()
    (server.data / "code-1.key").rename(server.folder / "aside")
    give_key(server, "code-2.key", "a5" * 32)
    server.restart()
    assert "keyless" in server.stderr() and "code_key_missing" in server.stderr()
    problem(server.claim("ada", "keyless"), 503, "code_key_missing")
    problem(server.claim("bob", "keyless"), 503, "code_key_missing")
    problem(server.get("/api/v1/coupons/user/ada/event/keyless"), 503, "code_key_missing")
    problem(server.admin("GET", f"{EVENTS}/keyless/export"), 503, "code_key_missing")
    assert server.status_of("keyless")["total_participants"] == 1, "bob's claim changed nothing"
    server.create("keyed", 1)
    assert server.claim("ada", "keyed").result == "issued"


def test_a_newer_key_is_for_newer_events(servers):
    server = servers.start()
    server.create("before", 2)
    code = server.claim("ada", "before").json["coupon_id"]
    server.stop()
    give_key(server, "code-2.key", "5a" * 32)
    server.restart()
    server.create("after", 2)
    assert server.claim("ada", "before").json["coupon_id"] == code
    key_of = {event["event_id"]: event["key_id"]
              for event in server.admin("GET", EVENTS).json["events"]}
    assert key_of["before"] != key_of["after"]
