# SPDX-License-Identifier: Apache-2.0
"""What an operator may change while an event runs: restock, pause, resume, reschedule, close, and the
return of a coupon. Answered when every thread knows; the same after a crash.
"""
import datetime
import re

import pytest
from client import EVENTS, claim_bytes, problem, user_path
from crowd import Crowd, Told


def instant(seconds_from_now):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def change(server, event, what, **members):
    response = server.admin("POST", f"{EVENTS}/{event}/{what}", members)
    assert response.status == 200, response
    assert response.json["event_id"] == event
    return response.json


@pytest.fixture
def event(shared, request):
    name = f"c-{abs(hash(request.node.nodeid)):x}"
    shared.create(name, 3)
    return name


def sell_out(server, event, n=3):
    return [server.claim(f"u{i}", event).json for i in range(n)]


# ---- pause and resume ----

def test_a_paused_event_issues_nothing(shared, event):
    won = shared.claim("ada", event).json
    assert change(shared, event, "pause", reason="a look")["status"] == "paused"
    response = shared.claim("bob", event)
    body = response.json
    assert response.status == 200 and int(response.header("Retry-After")) >= 1
    assert body["success"] is False and body["result"] == "paused" and body["final"] is False
    assert shared.claim("ada", event).json["coupon_id"] == won["coupon_id"], "hers stays hers"
    assert shared.status_of(event)["status"] == "paused"
    assert change(shared, event, "resume")["status"] == "active"
    assert shared.claim("bob", event).json["serial"] == 2


def test_every_thread_knows_of_a_pause_at_once(servers):
    server = servers.start("--threads", "4")
    server.create("EV", 100000)
    clients = [server.client() for _ in range(24)]
    for n in range(20):
        change(server, "EV", "pause")
        for i, client in enumerate(clients):
            assert client.claim(f"u{n}-{i}", "EV").result == "paused"
        change(server, "EV", "resume")
        for i, client in enumerate(clients):
            assert client.claim(f"u{n}-{i}", "EV").result == "issued"
    for client in clients:
        client.close()


# ---- restock ----

def test_more_stock_reopens_what_was_sold_out(shared, event):
    first = sell_out(shared, event)
    assert shared.claim("late", event).json["final"] is True
    shown = change(shared, event, "restock", total_stock=5)
    assert (shown["total_stock"], shown["remaining_stock"], shown["status"]) == (5, 2, "active")
    assert shared.claim("late", event).json["serial"] == 4
    assert shared.claim("u0", event).json["coupon_id"] == first[0]["coupon_id"]
    assert shared.claim("last", event).json["serial"] == 5
    assert shared.claim("later", event).json["final"] is True


def test_less_stock_takes_nothing_away(shared, event):
    sell_out(shared, event, 2)
    refused = shared.admin("POST", f"{EVENTS}/{event}/restock", {"total_stock": 1})
    problem(refused, 409, "refused")
    assert change(shared, event, "restock", total_stock=2)["status"] == "sold_out"
    assert shared.claim("late", event).result == "sold_out"


# ---- schedule ----

def test_an_event_is_moved(shared, event):
    change(shared, event, "reschedule", starts_at=instant(60), ends_at=instant(120))
    assert shared.claim("ada", event).result == "not_started"
    change(shared, event, "reschedule", starts_at=None)
    assert shared.status_of(event)["starts_at"] is None
    assert shared.status_of(event)["ends_at"] is not None, "what is not named stays"
    assert shared.claim("ada", event).result == "issued"
    change(shared, event, "reschedule", ends_at=instant(-1))
    assert shared.claim("bob", event).result == "ended"
    assert shared.claim("ada", event).result == "already_issued"
    change(shared, event, "reschedule", ends_at=None)
    assert shared.claim("bob", event).result == "issued"


def test_a_schedule_that_is_none(shared, event):
    for members, field in (({"starts_at": "soon"}, "starts_at"), ({"ends_at": 5}, "ends_at"),
                           ({"starts_at": instant(60), "ends_at": instant(30)}, "ends_at")):
        response = shared.admin("POST", f"{EVENTS}/{event}/reschedule", members)
        problem(response, 422, "invalid_field", field)
    assert shared.claim("ada", event).result == "issued"


# ---- close ----

def test_a_closed_event_is_over_for_good(shared, event):
    won = shared.claim("ada", event).json
    assert change(shared, event, "close", reason="done")["status"] == "ended"
    assert shared.claim("bob", event).json["final"] is True
    assert shared.claim("bob", event).result == "ended"
    assert shared.claim("ada", event).json["coupon_id"] == won["coupon_id"]
    for what, members in (("pause", {}), ("resume", {}), ("close", {}), ("restock",
                          {"total_stock": 9}), ("reschedule", {"ends_at": None})):
        response = shared.admin("POST", f"{EVENTS}/{event}/{what}", members)
        problem(response, 409, "event_closed")


# ---- return ----

def test_a_coupon_comes_back_and_goes_to_another(shared, event):
    won = sell_out(shared, event)
    shown = change(shared, event, "return", user_id="u1", reason="asked for it")
    assert (shown["remaining_stock"], shown["total_participants"]) == (1, 2)
    gone = shared.claim("u1", event)
    assert gone.status == 200 and gone.result == "returned" and gone.json["final"] is True
    assert gone.json["success"] is False and gone.json["coupon_id"] is None
    assert shared.get(user_path("u1", event)).json["coupon"] is None

    heir = shared.claim("heir", event).json
    assert heir["serial"] == won[1]["serial"] and heir["coupon_id"] != won[1]["coupon_id"]
    assert shared.claim("late", event).result == "sold_out"
    assert {row["user_id"] for row in shared.export(event)} == {"u0", "heir", "u2"}


def test_who_holds_nothing_returns_nothing(shared, event):
    sell_out(shared, event, 1)
    for user in ("nobody", "late"):
        response = shared.admin("POST", f"{EVENTS}/{event}/return", {"user_id": user})
        problem(response, 409, "not_a_holder", "user_id")
    change(shared, event, "return", user_id="u0")
    again = shared.admin("POST", f"{EVENTS}/{event}/return", {"user_id": "u0"})
    problem(again, 409, "not_a_holder", "user_id")


# ---- all of them ----

WHAT = ["restock", "pause", "resume", "reschedule", "close", "return"]


@pytest.mark.parametrize("what", WHAT)
def test_changes_are_for_the_operator(shared, event, what):
    target = f"{EVENTS}/{event}/{what}"
    before = shared.admin("GET", f"{EVENTS}/{event}").json
    problem(shared.admin("POST", target, {"user_id": "x", "total_stock": 9}, token=False), 401,
            "unauthorized")
    response = shared.admin("GET", target)
    problem(response, 405, "method_not_allowed")
    assert response.header("Allow") == "POST"
    problem(shared.admin("POST", f"{EVENTS}/nowhere/{what}", {}), 404, "unknown_event", "event_id")
    problem(shared.admin("POST", target, b"{"), 400, "bad_json")
    problem(shared.admin("POST", target, {"reason": 5, "total_stock": 3, "user_id": "x"}), 422,
            "invalid_field", "reason")
    assert shared.admin("GET", f"{EVENTS}/{event}").json == before


def test_a_change_that_lacks_its_field(shared, event):
    for what, members, field in (("restock", {}, "total_stock"),
                                 ("restock", {"total_stock": 0}, "total_stock"),
                                 ("return", {}, "user_id"), ("return", {"user_id": "-"}, "user_id")):
        problem(shared.admin("POST", f"{EVENTS}/{event}/{what}", members), 422, "invalid_field", field)


def test_changes_by_hand(server):
    server.event("create", "EV", "--stock", "2", "--reason", "a test")
    server.claim("ada", "EV"), server.claim("bob", "EV")
    assert re.search("^stock +3$", server.event("restock", "EV", "--to", "3").stdout, re.M)
    assert "paused" in server.event("pause", "EV", "--reason", "why not").stdout
    assert "active" in server.event("resume", "EV").stdout
    assert "2031" in server.event("reschedule", "EV", "--ends", "2031-01-01T00:00:00Z").stdout
    assert re.search("^holders +1$", server.event("return", "EV", "--user", "ada").stdout, re.M)
    assert "not_a_holder" in server.event("return", "EV", "--user", "eve", status=1).stderr
    assert "ended" in server.event("close", "EV").stdout
    assert "event_closed" in server.event("pause", "EV", status=1).stderr


def test_changes_survive_a_crash(servers):
    server = servers.start()
    for name in ("paused", "more", "moved", "closed", "returned"):
        server.create(name, 3)
        sell_out(server, name, 2)
    change(server, "paused", "pause")
    change(server, "more", "restock", total_stock=7)
    change(server, "moved", "reschedule", starts_at="2031-01-01T00:00:00Z")
    change(server, "closed", "close")
    change(server, "returned", "return", user_id="u0")
    heir = server.claim("heir", "returned").json
    before = server.admin("GET", EVENTS).json
    server.kill()
    server.restart()
    assert server.admin("GET", EVENTS).json == before
    assert server.claim("new", "paused").result == "paused"
    assert server.claim("new", "more").json["remaining_stock"] == 4
    assert server.claim("new", "moved").result == "not_started"
    assert server.claim("new", "closed").result == "ended"
    assert server.claim("u0", "returned").result == "returned"
    assert server.claim("heir", "returned").json["coupon_id"] == heir["coupon_id"]


@pytest.mark.threads
def test_changes_under_load(servers):
    """Pauses, restocks and crowds at once: in the end exactly what the last stock says."""
    server = servers.start("--threads", "2", "--journal-segment", "256KiB")
    told = Told("EV", 3000)
    server.create("EV", 1000)
    results = set()
    told_hear = told.hear

    def hear(user, response):
        results.add(response.json["result"])
        if response.result not in ("paused", "sold_out"):
            told_hear(user, response)

    told.hear = hear
    work = Crowd(server, told, [f"u{n}" for n in range(6000)], threads=8, depth=4)
    for stock in (1200, 1500, 2000, 2500, 3000):
        change(server, "EV", "pause")
        change(server, "EV", "restock", total_stock=stock)
        change(server, "EV", "resume")
    work.wait()
    told.hear = told_hear
    assert results >= {"issued"} and results <= {"issued", "paused", "sold_out"}
    told.check_against(server)
    told.sell_the_rest(server, "rest")
    server.kill()
    server.restart()
    told.check_against(server)
    with server.client() as client:
        client.send(claim_bytes("late", "EV"))
        assert client.response().json["final"] is True
