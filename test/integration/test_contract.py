# SPDX-License-Identifier: Apache-2.0
"""The public HTTP contract, row by row: every answer that a claim, a status and a user route give,
to who is taken at his word and to who has to show a token (what is refused then is in test_auth.py).
"""
import datetime
import email.utils
import json
import time

import pytest
from client import ISSUE, claim_bytes, problem, status_path, user_path
from conftest import shared_server
from harness import CLUSTER, wait_until
from tokens import Tokens


@pytest.fixture(scope="module", params=["none", "jwt"])
def shared(request, tmp_path_factory):
    tokens = Tokens(tmp_path_factory.mktemp("keys")) if request.param == "jwt" else None
    with shared_server(tmp_path_factory, tokens=tokens) as running:
        yield running


def instant(seconds_from_now):
    """RFC 3339, in milliseconds."""
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def parsed(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.fixture
def event(shared, request):
    """The name of an event of 3 coupons that nobody else uses."""
    name = f"e-{abs(hash(request.node.nodeid)):x}"
    shared.create(name, 3)
    return name


# ---- the claim: decided ----

def test_a_win_says_everything_about_the_coupon(shared, event):
    response = shared.claim("ada", event)
    assert response.status == 200
    assert response.header("Content-Type") == "application/json"
    assert response.header("Idempotent-Replayed") is None
    body = response.json
    assert body["success"] is True and body["result"] == "issued" and body["message"]
    assert (body["event_id"], body["user_id"], body["serial"]) == (event, "ada", 1)
    assert body["remaining_stock"] == 2
    assert isinstance(body["coupon_id"], str) and body["coupon_id"]
    age = datetime.datetime.now(datetime.timezone.utc) - parsed(body["issued_at"])
    assert abs(age.total_seconds()) < 30


def test_the_same_user_gets_the_same_coupon_for_ever(shared, event):
    first = shared.claim("ada", event).json
    for others in range(3):
        again = shared.claim("ada", event)
        assert again.status == 200 and again.header("Idempotent-Replayed") == "true"
        body = again.json
        assert body["success"] is True and body["result"] == "already_issued"
        for member in ("coupon_id", "serial", "event_id", "user_id", "issued_at"):
            assert body[member] == first[member]
        shared.claim(f"other-{others}", event)  # until it is sold out: nothing changes for ada


def test_sold_out_is_final(shared, event):
    for user in "abc":
        assert shared.claim(user, event).result == "issued"
    response = shared.claim("late", event)
    assert response.status == 200 and response.header("Retry-After") is None
    body = response.json
    assert body["success"] is False and body["result"] == "sold_out" and body["message"]
    assert body["coupon_id"] is None and body["remaining_stock"] == 0 and body["final"] is True


def test_sold_out_is_the_same_with_connection_close(shared, event):
    with shared.client() as client:
        for user in "abc":
            client.claim(user, event)
        kept = client.claim("late", event)
        closed = client.claim("later", event, Connection="close")
        assert closed.header("Connection") == "close" and closed.body == kept.body
        client.expect_end()


def test_serials_are_in_order_of_arrival(shared):
    shared.create("in-order", 20)
    with shared.client() as one, shared.client() as two:
        for serial in range(1, 21):
            body = (one if serial % 3 else two).claim(f"user-{serial}", "in-order").json
            assert (body["serial"], body["remaining_stock"]) == (serial, 20 - serial)
    assert [row["user_id"] for row in shared.export("in-order")] == [f"user-{n}"
                                                                     for n in range(1, 21)]


def test_two_events_know_nothing_of_each_other(shared):
    shared.create("left", 1)
    shared.create("right", 2)
    left, right = shared.claim("ada", "left").json, shared.claim("ada", "right").json
    assert left["serial"] == right["serial"] == 1
    assert left["coupon_id"] != right["coupon_id"]
    assert shared.claim("bob", "left").result == "sold_out"
    assert shared.claim("bob", "right").result == "issued"


def test_not_started(shared):
    starts = instant(3600)
    shared.create("tomorrow", 5, starts_at=starts)
    response = shared.claim("ada", "tomorrow")
    body = response.json
    assert response.status == 200
    assert body["success"] is False and body["result"] == "not_started"
    assert parsed(body["starts_at"]) == parsed(starts)
    assert body["coupon_id"] is None and body["final"] is False and body["remaining_stock"] == 5
    assert 3500 < int(response.header("Retry-After")) <= 3601


def test_ended(shared):
    ends = instant(-60)
    shared.create("over", 5, ends_at=ends)
    response = shared.claim("ada", "over")
    body = response.json
    assert response.status == 200 and response.header("Retry-After") is None
    assert body["success"] is False and body["result"] == "ended" and body["final"] is True
    assert parsed(body["ends_at"]) == parsed(ends)


def test_an_event_starts_and_ends_by_itself(shared):
    """Claimed all the time: nothing before its start, nothing after its end, told by the minute."""
    starts, ends = time.time() + 1.6, time.time() + 3.2
    shared.create("short", 100000, starts_at=instant(1.6), ends_at=instant(3.2))
    seen = []
    with shared.client() as client:
        while time.time() < ends + 0.7:
            body = client.claim(f"user-{len(seen)}", "short").json
            seen.append(body["result"])
            if body["result"] == "issued":
                assert starts - 0.01 <= parsed(body["issued_at"]).timestamp() <= ends + 0.01
            time.sleep(0.005)
    changes = [seen[0]] + [now for before, now in zip(seen, seen[1:]) if before != now]
    assert changes == ["not_started", "issued", "ended"]
    assert seen.count("issued") == shared.status_of("short")["total_participants"]
    first = shared.export("short")[0]["user_id"]
    assert shared.claim(first, "short").result == "already_issued", "a holder stays one"


@pytest.mark.parametrize("event", ["no-such-event", "E" * 64])
def test_unknown_event(shared, event):
    problem(shared.claim("ada", event), 404, "unknown_event", "event_id")


# ---- the claim: its body ----

@pytest.mark.parametrize("body, why", [
    (b"", "nothing"),
    (b"{", "cut short"),
    (b"{}{}", "two objects"),
    (b'{"user_id":"a","event_id":"EV"} x', "words behind"),
    (b'{"user_id":"a","event_id":"EV",}', "a comma too many"),
    (b"{'user_id':'a','event_id':'EV'}", "single quotes"),
    (b'{"user_id":"a","event_id":"EV"', "no end"),
    (b'{"user_id":"a","user_id":"a","event_id":"EV"}', "a key twice"),
    (b'{"user_id":"a","event_id":"EV","x":1,"x":2}', "another key twice"),
    (b'{"user_id":"a","event_id":"EV","x":{"y":1,"y":2}}', "a key twice, further in"),
    (b'{"user_id":"a","us\\u0065r_id":"b","event_id":"EV"}', "a key twice, spelled differently"),
    (b'{"user_id":"\xff","event_id":"EV"}', "not UTF-8"),
    (b'{"user_id":"a","event_id":"EV","x":"\xc3"}', "UTF-8 cut short"),
    (b'{"user_id":"a","event_id":"EV","x":"\xc0\xaf"}', "UTF-8 too long"),
    (b'{"user_id":"a","event_id":"EV","x":"\xed\xa0\x80"}', "a surrogate in UTF-8"),
    (b'{"user_id":"\\ud800","event_id":"EV"}', "half a surrogate"),
    (b'{"user_id":"a\\q","event_id":"EV"}', "an unknown escape"),
    (b'{"user_id":"a\x00","event_id":"EV"}', "a NUL"),
    (b'{"user_id":"a\n","event_id":"EV"}', "a line end in a string"),
    (b'{"user_id":"a","event_id":"EV","x":01}', "a leading zero"),
    (b'{"user_id":"a","event_id":"EV","x":1.}', "half a number"),
    (b'{"user_id":"a","event_id":"EV","x":NaN}', "NaN"),
    (b'{"user_id":"a","event_id":"EV","x":truely}', "a word that is none"),
    (b'{"user_id":"a","event_id":"EV","x":1e400000}', "a number that nothing holds"),
    (b'{"user_id":"a","event_id":"EV","\\u0000":1}', "a key with a NUL"),
    (b"\xef\xbb\xbf" b'{"user_id":"a","event_id":"EV"}', "a byte order mark"),
    (b"[" * 3000, "very deep"),
    (b'{"x":' + b"[" * 3000 + b"]" * 3000 + b"}", "deep and closed"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_json(shared, event, body, why):
    with shared.client() as client:
        if len(body) > 4096:
            body = body[:4096]
        response = client.request("POST", ISSUE, body.replace(b"EV", event.encode()))
        problem(response, 400, "bad_json")
        assert client.get("/livez").status == 200, "the framing was good: the connection lives"
    assert shared.status_of(event)["total_participants"] == 0


@pytest.mark.parametrize("body, field", [
    ({}, "user_id"),
    ({"event_id": "EV"}, "user_id"),
    ({"user_id": "a"}, "event_id"),
    ({"user_id": None, "event_id": "EV"}, "user_id"),
    ({"user_id": 7, "event_id": "EV"}, "user_id"),
    ({"user_id": ["a"], "event_id": "EV"}, "user_id"),
    ({"user_id": True, "event_id": "EV"}, "user_id"),
    ({"user_id": "", "event_id": "EV"}, "user_id"),
    ({"user_id": "a" * 65, "event_id": "EV"}, "user_id"),
    ({"user_id": "-a", "event_id": "EV"}, "user_id"),
    ({"user_id": "=cmd()", "event_id": "EV"}, "user_id"),
    ({"user_id": "@a", "event_id": "EV"}, "user_id"),
    ({"user_id": "+a", "event_id": "EV"}, "user_id"),
    ({"user_id": ".a", "event_id": "EV"}, "user_id"),
    ({"user_id": "a b", "event_id": "EV"}, "user_id"),
    ({"user_id": "a/b", "event_id": "EV"}, "user_id"),
    ({"user_id": "a\u0000b", "event_id": "EV"}, "user_id"),
    ({"user_id": "\u0000", "event_id": "EV"}, "user_id"),
    ({"user_id": "é", "event_id": "EV"}, "user_id"),
    ({"user_id": "a\n", "event_id": "EV"}, "user_id"),
    ({"user_id": "a", "event_id": ""}, "event_id"),
    ({"user_id": "a", "event_id": 7}, "event_id"),
    ({"user_id": "a", "event_id": {"EV": 1}}, "event_id"),
    ({"user_id": "a", "event_id": "e" * 65}, "event_id"),
    ({"user_id": "a", "event_id": "a.b"}, "event_id"),
    ({"user_id": "a", "event_id": "EV\u0000"}, "event_id"),
    ({"USER_ID": "a", "event_id": "EV"}, "user_id"),
    ([], "user_id"),
    ("text", "user_id"),
    (7, "user_id"),
    (None, "user_id"),
])
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "utf8"])
def test_a_field_that_is_not_what_it_should_be(shared, event, body, field, ascii_only):
    text = json.dumps(body, ensure_ascii=ascii_only).replace("EV", event).encode()
    with shared.client() as client:
        problem(client.request("POST", ISSUE, text), 422, "invalid_field", field)
        assert client.get("/livez").status == 200
    assert shared.status_of(event)["total_participants"] == 0


@pytest.mark.parametrize("user", ["a", "Z", "0", "_", "a" * 64, "a.b_c~d:e@f+g-h", "user@example.org",
                                  "9-9", "__", "a+"])
def test_user_ids_that_are_good(shared, event, user):
    body = shared.claim(user, event).json
    assert (body["result"], body["user_id"]) == ("issued", user)
    assert shared.coupon_of(user, event)["coupon_id"] == body["coupon_id"]


@pytest.mark.parametrize("text", [
    '{"user_id":"ada","event_id":"EV"}',
    ' \t\r\n{ "event_id" : "EV" ,\n"user_id"\t:\r\n"ada" } \r\n',
    '{"\\u0075ser_id":"\\u0061d\\u0061","event_id":"EV"}',
    '{"user_id":"ada","event_id":"EV","note":"ignored","n":-12.5e3,"t":true,"f":false,"z":null}',
    '{"deep":{"user_id":"not me","a":[1,{"event_id":"nor me"}]},"user_id":"ada","event_id":"EV"}',
    '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"user_id":"ada","event_id":"EV"}',
    '{"user_id":"ada","event_id":"EV","emoji":"\U0001f3ab \\ud83c\\udfab","small":1e-400}',
    '{"user_id":"ada","event_id":"EV","big":123456789012345678901234567890}',
    '{"user_id":"ada","event_id":"EV","":"","x":"\\u0000"}',
])
def test_all_spellings_of_one_claim_are_one_claim(shared, event, text):
    with shared.client() as client:
        response = client.request("POST", ISSUE, text.replace("EV", event).encode())
        assert response.status == 200, response
        assert response.json["user_id"] == "ada" and response.result == "issued"
        assert client.claim("ada", event).result == "already_issued"


def test_the_body_may_be_4_kib_and_no_more(shared, event):
    padding = 4096 - len(json.dumps({"user_id": "ada", "event_id": event, "x": ""}))
    good = json.dumps({"user_id": "ada", "event_id": event, "x": "x" * padding}).encode()
    assert len(good) == 4096
    with shared.client() as client:
        assert client.request("POST", ISSUE, good).result == "issued"
        response = client.request("POST", ISSUE, good + b" ")
        problem(response, 413)
        assert response.header("Connection") == "close"
        client.expect_end()


# ---- the claim: its head ----

@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8",
                                  "Application/JSON;charset=\"UTF-8\"", "application/json ;  a=b",
                                  "application/json;"])
def test_content_types_that_are_json(shared, event, kind):
    body = {"user_id": "ada", "event_id": event}
    with shared.client() as client:
        assert client.request("POST", ISSUE, body, [("Content-Type", kind)]).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded",
                                  "application/json; charset=latin1", "application/jsonp",
                                  "application/problem+json", "", "application/json, text/html",
                                  "application/json; charset"])
def test_content_types_that_are_not(shared, event, kind):
    body = {"user_id": "ada", "event_id": event}
    with shared.client() as client:
        response = client.request("POST", ISSUE, body, [("Content-Type", kind)])
        problem(response, 415, "unsupported_media_type", "Content-Type")
        assert client.get("/livez").status == 200
    assert shared.coupon_of("ada", event) is None


def test_no_content_type_at_all(shared, event):
    head = claim_bytes("ada", event).replace(b"Content-Type: application/json\r\n", b"")
    with shared.client() as client:
        client.send(head)
        problem(client.response(), 415, "unsupported_media_type", "Content-Type")


@pytest.mark.parametrize("key", ["k", "k" * 64, "8e03978e-40d5-43e8-bc93-6894a57f9324", "!~;:,"])
def test_an_idempotency_key_names_the_claim(shared, event, key):
    first = shared.claim("ada", event, Idempotency_Key=key)
    assert first.result == "issued"
    again = shared.claim("ada", event, Idempotency_Key="another")
    assert again.result == "already_issued"
    assert again.json["coupon_id"] == first.json["coupon_id"]
    bob = shared.claim("bob", event, Idempotency_Key=key)
    assert bob.result == "issued", "the identity of a claim is event and user, not the key"


@pytest.mark.parametrize("key", ["", "k" * 65, "a b", "a\tb"])
def test_an_idempotency_key_that_is_none(shared, event, key):
    with shared.client() as client:
        problem(client.claim("ada", event, Idempotency_Key=key), 400, "bad_idempotency_key",
                "Idempotency-Key")
    assert shared.coupon_of("ada", event) is None


def test_an_idempotency_key_twice_is_refused(shared, event):
    with shared.client() as client:
        client.send(claim_bytes("ada", event, [("Idempotency-Key", "a"), ("idempotency-key", "a")]))
        problem(client.response(), 400)
        client.expect_end()


@pytest.mark.parametrize("method, target, allow", [
    ("GET", ISSUE, {"POST"}), ("HEAD", ISSUE, {"POST"}), ("PUT", ISSUE, {"POST"}),
    ("DELETE", ISSUE, {"POST"}), ("PATCH", ISSUE, {"POST"}), ("BREW", ISSUE, {"POST"}),
    ("POST", status_path("x"), {"GET", "HEAD"}), ("PUT", user_path("u", "e"), {"GET", "HEAD"}),
    ("POST", "/health", {"GET", "HEAD"}), ("DELETE", "/readyz", {"GET", "HEAD"}),
])
def test_a_method_that_the_path_does_not_know(shared, method, target, allow):
    with shared.client() as client:
        response = client.request(method, target)
        assert {word.strip() for word in response.header("Allow").split(",")} == allow
        if method != "HEAD":
            problem(response, 405, "method_not_allowed")
        assert response.status == 405
        assert client.get("/livez").status == 200


@pytest.mark.parametrize("target", ["/", "/api/v1/coupons/issue/", "/api/v1/coupons", "/metrics",
                                    "/admin/v1/events", "/api/v1/coupons/status/",
                                    "/api/v1/coupons/status/a/b", "/api/v1/coupons/user//event/e",
                                    "/API/v1/coupons/issue", "//api/v1/coupons/issue",
                                    "/api/v1/coupons/../coupons/issue", "/livezz", "/live"])
def test_a_path_where_nothing_is(shared, target):
    with shared.client() as client:
        problem(client.request("GET", target), 404, "not_found")
        problem(client.request("POST", target, {}), 404, "not_found")


def test_the_absolute_form_and_a_query_lead_to_the_same_place(shared, event):
    with shared.client() as client:
        body = {"user_id": "ada", "event_id": event}
        assert client.request("POST", f"http://localhost{ISSUE}?x=1", body).result == "issued"
        assert client.get(f"http://any.host:80{status_path(event)}").json["event_id"] == event


# ---- the status ----

def test_status_in_each_state(shared):
    shared.create("s-scheduled", 4, starts_at=instant(60), ends_at=instant(120))
    shared.create("s-ended", 4, ends_at=instant(-1))
    shared.create("s-active", 2)
    assert shared.status_of("s-scheduled")["status"] == "scheduled"
    assert shared.status_of("s-ended")["status"] == "ended"
    for taken, word in enumerate(("active", "active", "sold_out")):
        found = shared.status_of("s-active")
        assert found == {"event_id": "s-active", "total_stock": 2, "remaining_stock": 2 - taken,
                         "total_participants": taken, "status": word, "starts_at": None,
                         "ends_at": None}
        shared.claim(f"user-{taken}", "s-active")
    shared.claim("user-0", "s-active")
    assert shared.status_of("s-active")["total_participants"] == 2


def test_status_tells_the_instants_and_follows_them(shared):
    starts, ends = instant(0.4), instant(0.9)
    shared.create("s-moves", 4, starts_at=starts, ends_at=ends)
    seen = []
    while not seen or seen[-1] != "ended":
        found = shared.status_of("s-moves")
        assert parsed(found["starts_at"]) == parsed(starts)
        assert parsed(found["ends_at"]) == parsed(ends)
        if found["status"] not in seen:
            seen.append(found["status"])
    assert seen == ["scheduled", "active", "ended"]


def test_status_of_an_unknown_event(shared):
    problem(shared.get(status_path("nowhere")), 404, "unknown_event", "event_id")


# ---- did I get it? ----

def test_the_user_route_shows_the_coupon_or_null(shared, event):
    nothing = shared.get(user_path("ada", event))
    assert nothing.status == 200 and nothing.json["coupon"] is None
    assert nothing.json["coupon_id"] is None
    won = shared.claim("ada", event).json
    for _ in range(2):
        response = shared.get(user_path("ada", event))
        assert response.status == 200 and "no-store" in response.header("Cache-Control")
        body = response.json
        assert body["coupon"] == {member: won[member]
                                  for member in ("coupon_id", "serial", "issued_at")}
        assert (body["user_id"], body["event_id"]) == ("ada", event)
        shared.claim("bob", event), shared.claim("eve", event)
    assert shared.get(user_path("too-late", event)).json["coupon"] is None


def test_the_user_route_refuses(shared, event):
    problem(shared.get(user_path("ada", "nowhere")), 404, "unknown_event", "event_id")
    for user in ("%20", "-a", "a%2Fb", "a%00b", "a%zz", "a%4", "%", "a" * 65, "%C3%A9"):
        problem(shared.get(user_path(user, event)), 422, "invalid_field", "user_id")
    for bad in ("e.e", "%20", "e" * 65, "%"):
        problem(shared.get(user_path("ada", bad)), 422, "invalid_field", "event_id")


def test_percent_escapes_in_a_path_mean_their_characters(shared, event):
    user = "a+b@c:d~e"
    won = shared.claim(user, event).json
    escaped = "".join(f"%{ord(c):02X}" for c in user)
    for spelled in (user, escaped, escaped.lower(), "a%2Bb%40c%3Ad%7Ee"):
        assert shared.coupon_of(spelled, event)["coupon_id"] == won["coupon_id"]
    assert shared.coupon_of("a%20b".replace("%20", "."), event) is None
    letters = "".join(f"%{ord(c):02x}" for c in event)
    assert shared.coupon_of(user, letters)["coupon_id"] == won["coupon_id"]
    assert shared.status_of(letters)["event_id"] == event


# ---- health ----

def test_health_tells_about_each_part(shared):
    response = shared.get("/health")
    assert response.status == 200 and "no-store" in response.header("Cache-Control")
    body = response.json
    assert body["status"] == "ok"
    assert body["mode"] == ("cluster" if CLUSTER else "embedded")
    for part in ("redis", "kafka") if CLUSTER else ("journal",):
        assert body[part]["status"] == "ok"
    assert body["version"] and body["uptime_s"] >= 0 and body["events"] >= 0
    assert shared.get("/livez").status == 200
    assert shared.get("/readyz").status == 200


# ---- every answer ----

@pytest.mark.parametrize("target", ["/health", "/livez", "/readyz", status_path("head"),
                                    status_path("nowhere"), user_path("ada", "head"),
                                    user_path("-", "head"), "/nowhere"])
def test_head_is_get_without_the_body(shared, target):
    if shared.get(status_path("head")).status == 404:
        shared.create("head", 1)
        shared.claim("ada", "head")
    with shared.client() as client:
        get, head = client.get(target), client.request("HEAD", target)
        assert head.status == get.status and head.body == b"" and get.body
        if target != "/health":  # where the uptime may have moved on by a digit
            assert head.header("Content-Length") == get.header("Content-Length")
        assert head.header("Content-Type") == get.header("Content-Type")
        assert client.get("/livez").status == 200, "nothing came behind the head"


def test_the_date_is_now_and_moves_on(shared, event):
    def age(response):
        return abs(email.utils.parsedate_to_datetime(response.header("Date")).timestamp()
                   - time.time())

    for user in "abc":
        assert age(shared.claim(user, event)) < 3
    with shared.client() as client:
        first = client.claim("late", event)
        wait_until(lambda: client.claim("late", event).header("Date") != first.header("Date"),
                   "another Date in the answer to losers", 5)
        assert age(client.claim("late", event)) < 3


def test_http_1_0_gets_an_answer_and_an_end(shared, event):
    with shared.client() as client:
        body = {"user_id": "ada", "event_id": event}
        response = client.request("POST", ISSUE, body, version="1.0")
        assert response.result == "issued" and response.header("Connection") == "close"
        client.expect_end()


def test_answers_survive_a_restart(servers):
    lasting = ("coupon_id", "serial", "user_id", "event_id", "issued_at")
    server = servers.start("--threads", "2")
    server.create("kept", 3)
    won = [server.claim(f"user-{n}", "kept").json for n in range(3)]
    server.stop()
    server.restart()
    for n, before in enumerate(won):
        after = server.claim(f"user-{n}", "kept")
        assert after.result == "already_issued" and after.header("Idempotent-Replayed") == "true"
        assert [after.json[member] for member in lasting] == [before[member] for member in lasting]
    assert server.claim("late", "kept").json["final"] is True
