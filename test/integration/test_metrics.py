# SPDX-License-Identifier: Apache-2.0
"""/metrics: each number moves by exactly what was done, names are bounded, the format is the one that
Prometheus reads."""
import os
import re
import shutil
import socket
import struct
import subprocess
import time

import pytest
from client import (EVENTS, ISSUE, claim_bytes, problem, request_bytes, status_path,
                    user_path)
from harness import ROOT, run, wait_until

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+(?:\.\d+)?(?:e[+-]\d+)?)\Z")
SUFFIXES = ("_bucket", "_sum", "_count")


# ---- reading ----

def family_of(name, types):
    for suffix in SUFFIXES:
        if name.endswith(suffix) and types.get(name.removesuffix(suffix)) == "histogram":
            return name.removesuffix(suffix)
    return name


def parse(text):
    """{name{labels}: value}, read strictly: heads first, families in one piece, no sample twice."""
    samples, types, helps, current = {}, {}, {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        head = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if head:
            known = helps if head[1] == "HELP" else types
            assert head[2] not in known, line
            known[head[2]] = head[3]
            current = head[2]
            continue
        match = SAMPLE.match(line)
        assert match, line
        assert family_of(match[1], types) == current, f"{line} among {current}"
        key = line[:match.start(3) - 1]
        assert key not in samples, line
        samples[key] = float(match[3])
    assert set(types) == set(helps)
    assert set(types.values()) <= {"counter", "gauge", "histogram"}
    return samples


def text_of(client):
    response = client.get("/metrics")
    assert response.status == 200, response
    assert response.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return response.body.decode()


class Watch:
    """What has moved since the last look, on one connection of its own to the admin listener."""

    def __init__(self, server):
        self.client = server.admin_client()
        self.before = parse(text_of(self.client))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def now(self):
        return parse(text_of(self.client))

    def moved(self, *families):
        """{sample: difference} of what is different, of these families, without the zeros."""
        now = self.now()
        moved = {key: value - self.before.get(key, 0) for key, value in now.items()
                 if value != self.before.get(key, 0)}
        self.before = now
        return {key: value for key, value in moved.items()
                if key.split("{")[0] in families or not families}


def requests(route, status, listener="public", method="POST"):
    return (f'coupond_http_requests_total{{listener="{listener}",method="{method}",'
            f'route="{route}",status="{status}"}}')


def claims(event, outcome):
    return f'coupond_claims_total{{event="{event}",outcome="{outcome}"}}'


def refused(code):
    return f'coupond_claims_refused_total{{code="{code}"}}'


SCRAPE = {requests("/metrics", "2xx", "admin", "GET"): 1}


# ---- claims ----

@pytest.mark.threads
def test_claims_are_counted_by_outcome_and_event(server):
    server.create("two", 2)
    server.create("later", 1, starts_at="2099-01-01T00:00:00Z")
    with Watch(server) as watch, server.client() as client:
        families = ("coupond_claims_total", "coupond_http_requests_total",
                    "coupond_claim_wait_seconds_count", "coupond_engine_records_total",
                    "coupond_journal_commit_seconds_count", "coupond_event_taken",
                    "coupond_engine_turn_claims_sum")
        for user in ("a", "b"):
            assert client.claim(user, "two").result == "issued"
        assert watch.moved(*families) == {
            claims("two", "issued"): 2, requests(ISSUE, "2xx"): 2, **SCRAPE,
            "coupond_claim_wait_seconds_count": 2, "coupond_engine_turn_claims_sum": 2,
            'coupond_engine_records_total{type="win",verdict="valid"}': 2,
            "coupond_journal_commit_seconds_count": 2, 'coupond_event_taken{event="two"}': 2}
        # From here on no claim asks the engine.
        for user in ("c", "d", "e"):
            assert client.claim(user, "two").result == "sold_out"
        assert client.claim("f", "two", Connection="close").result == "sold_out"
        with server.client() as other:
            assert other.claim("a", "two").result == "already_issued"
            assert other.claim("a", "later").result == "not_started"
        assert watch.moved(*families) == {
            claims("two", "sold_out"): 4, claims("two", "already_issued"): 1,
            claims("later", "not_started"): 1, requests(ISSUE, "2xx"): 6, **SCRAPE}


def test_outcomes_of_changed_events(server):
    for event in ("paused", "returned", "ended"):
        server.create(event, 3)
    server.claim("u", "returned")
    for event, verb, body in (("paused", "pause", {}), ("ended", "close", {}),
                              ("returned", "return", {"user_id": "u"})):
        response = server.admin("POST", f"{EVENTS}/{event}/{verb}",
                                {"operator": "o", "reason": "r", **body})
        assert response.status == 200, response
    with Watch(server) as watch:
        for event in ("paused", "returned", "ended"):
            assert server.claim("u", event).result == event
        assert watch.moved("coupond_claims_total") == {
            claims("paused", "paused"): 1, claims("returned", "returned"): 1,
            claims("ended", "ended"): 1}
        now = watch.now()
    for event, status in (("paused", "paused"), ("returned", "active"), ("ended", "ended")):
        assert now[f'coupond_event_status{{event="{event}",status="{status}"}}'] == 1
        assert sum(key.startswith(f'coupond_event_status{{event="{event}"') for key in now) == 1


def test_refused_claims_are_counted_by_code(server):
    server.create("EV", 1)
    with Watch(server) as watch:
        for body, fields, code in (
                ({"user_id": "u", "event_id": "nowhere"}, [], "unknown_event"),
                ({"user_id": "u"}, [], "invalid_field"), (b"{", [], "bad_json"),
                (b"{}", [("Content-Type", "text/plain")], "unsupported_media_type"),
                ({"user_id": "u", "event_id": "EV"}, [("Idempotency-Key", "x" * 65)],
                 "bad_idempotency_key")):
            with server.client() as client:
                assert client.request("POST", ISSUE, body, fields).json["code"] == code
            assert watch.moved("coupond_claims_refused_total", "coupond_claims_total",
                               "coupond_http_requests_total") == {
                refused(code): 1, requests(ISSUE, "4xx"): 1, **SCRAPE}


def test_a_refusal_that_waits_for_its_turn_counts_once(servers, disk):
    server = servers.start("--threads", "1", **disk.preload)
    server.create("EV", 3)
    with Watch(server) as watch, server.client() as client:
        disk.hold()
        client.send(claim_bytes("a", "EV") + request_bytes("POST", ISSUE, b"{")
                    + claim_bytes("b", "EV"))
        wait_until(lambda: watch.now()['coupond_engine_waiting{kind="claim"}'] == 1, "the claim")
        disk.release()
        assert client.response().result == "issued"
        problem(client.response(), 400, "bad_json")
        assert client.response().result == "issued"
        moved = watch.moved("coupond_claims_refused_total", "coupond_claims_total")
        assert moved == {refused("bad_json"): 1, claims("EV", "issued"): 2}
        assert watch.before['coupond_engine_waiting{kind="claim"}'] == 0


def test_queries_are_no_claims(server):
    server.create("EV", 5)
    with Watch(server) as watch, server.client() as client:
        assert client.get(user_path("u", "EV")).status == 200
        moved = watch.moved()
        assert moved[requests("/api/v1/coupons/user/{}/event/{}", "2xx", method="GET")] == 1
        assert not any("claim" in key and "turn" not in key for key in moved), moved


def test_pending_and_unheard(servers, disk):
    """A commit that stands still: the time-out says pending; the decision comes and nobody waits."""
    server = servers.start("--threads", "1", "--answer-timeout", "500ms", **disk.preload)
    server.create("EV", 3)
    with Watch(server) as watch, server.client() as client, server.client() as gone:
        disk.hold()
        assert client.claim("a", "EV").result == "pending"
        gone.send(claim_bytes("b", "EV"))
        wait_until(lambda: watch.now()['coupond_engine_waiting{kind="claim"}'] == 2, "both claims")
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        wait_until(lambda: watch.now()["coupond_connections"] == 2, "the second to be gone")
        assert watch.now()["coupond_journal_busy_seconds"] > 0.5
        disk.release()
        wait_until(lambda: watch.now()['coupond_event_taken{event="EV"}'] == 2, "both wins")
        wait_until(lambda: watch.now()["coupond_claims_unheard_total"] == 2, "both answers")
        moved = watch.moved("coupond_claims_total", "coupond_claims_unheard_total",
                            "coupond_claim_wait_seconds_count")
        pending = moved.pop(claims("EV", "pending"))
        assert pending in (1, 2) # the second may have been told before its end was seen
        assert moved == {"coupond_claims_unheard_total": 2, "coupond_claim_wait_seconds_count": 2}
        assert watch.before["coupond_journal_busy_seconds"] == 0
        assert watch.before["coupond_claim_wait_seconds_sum"] > 0.5


def test_busy_claims(servers, disk):
    server = servers.start("--threads", "1", "--inflight-max", "16", **disk.preload)
    server.create("EV", 30)
    with Watch(server) as watch:
        disk.hold()
        inside = [server.client() for _ in range(16)]
        for n, client in enumerate(inside):
            client.send(claim_bytes(f"u{n}", "EV"))
        wait_until(lambda: watch.now()['coupond_engine_waiting{kind="claim"}'] == 16, "16 claims")
        watch.moved()
        problem(server.claim("late", "EV"), 503, "busy")
        problem(server.get(user_path("late", "EV")), 503, "busy")
        assert watch.moved("coupond_claims_total", "coupond_http_requests_total") == {
            claims("EV", "busy"): 1, requests(ISSUE, "5xx"): 1, **SCRAPE,
            requests("/api/v1/coupons/user/{}/event/{}", "5xx", method="GET"): 1}
        disk.release()
        for client in inside:
            assert client.response().result == "issued"
            client.close()
        moved = watch.moved("coupond_claims_total", "coupond_journal_commit_records_sum")
        assert moved == {claims("EV", "issued"): 16, "coupond_journal_commit_records_sum": 16}


# ---- requests and connections ----

def test_requests_are_counted_by_route_and_class(server):
    server.create("EV", 1)
    with Watch(server) as watch, server.client() as client:
        client.get(status_path("EV"))
        client.get(status_path("nowhere"))
        client.request("HEAD", "/health")
        client.get("/nothing")
        client.get(ISSUE)
        client.send(b"nonsense\r\n\r\n")
        problem(client.response(), 400)
        assert watch.moved("coupond_http_requests_total") == {
            requests("/api/v1/coupons/status/{}", "2xx", method="GET"): 1,
            requests("/api/v1/coupons/status/{}", "4xx", method="GET"): 1,
            requests("/health", "2xx", method="GET"): 1,
            requests("_none", "4xx", method=""): 3, **SCRAPE}
        server.admin("GET", EVENTS, token=False)
        server.admin("GET", EVENTS)
        server.admin("POST", EVENTS, {})
        assert watch.moved("coupond_http_requests_total", "coupond_engine_controls_total") == {
            requests(EVENTS, "4xx", "admin", "GET"): 1, requests(EVENTS, "2xx", "admin", "GET"): 1,
            requests(EVENTS, "4xx", "admin"): 1, **SCRAPE}
        server.create("new", 4)
        body = {"event_id": "new", "total_stock": 4}
        assert server.admin("POST", EVENTS, body).status == 409
        assert watch.moved("coupond_http_requests_total", "coupond_engine_controls_total") == {
            requests(EVENTS, "2xx", "admin"): 1, requests(EVENTS, "4xx", "admin"): 1,
            'coupond_engine_controls_total{outcome="done"}': 1,
            'coupond_engine_controls_total{outcome="exists"}': 1, **SCRAPE}


def test_an_answer_that_waited_counts_for_its_own_route(servers, disk):
    """Between the asking and the answer the thread answers something else."""
    server = servers.start("--threads", "1", **disk.preload)
    server.create("EV", 3)
    with Watch(server) as watch, server.client() as client, server.client() as other:
        disk.hold()
        client.send(claim_bytes("a", "EV"))
        wait_until(lambda: watch.now()['coupond_engine_waiting{kind="claim"}'] == 1, "the claim")
        assert other.get("/livez").status == 200
        disk.release()
        assert client.response().result == "issued"
        now = watch.now()
    assert now[requests(ISSUE, "2xx")] == 1
    assert now[requests("/livez", "2xx", method="GET")] == 1


def test_connections_and_time_outs(servers):
    server = servers.start("--threads", "1", "--connections-max", "4", "--idle-timeout", "1s",
                           "--header-timeout", "1s")
    families = ("coupond_connections_accepted_total", "coupond_connections_refused_total",
                "coupond_connections_timed_out_total")
    wait_until(lambda: server_connections(server) == 1, "earlier connections to end")
    with Watch(server) as watch:
        inside = [server.client() for _ in range(3)]
        inside[0].send(b"GET / HT")
        wait_until(lambda: watch.now()["coupond_connections"] == 4, "three beside ours")
        assert watch.before["coupond_connections_max"] == 4
        with server.client() as fifth:
            problem(fifth.response(), 503, "too_many_connections")
        moved = watch.moved(*families)
        assert moved == {'coupond_connections_accepted_total{listener="public"}': 3,
                         'coupond_connections_refused_total{listener="public"}': 1}
        # Ours stays because it asks all the time.
        for reason, count in (("idle", 2), ("request", 1), ("close", 1)):
            sample = f'coupond_connections_timed_out_total{{reason="{reason}"}}'
            wait_until(lambda: watch.now()[sample] == count, reason)
        assert watch.moved(*families) == {
            'coupond_connections_timed_out_total{reason="idle"}': 2,
            'coupond_connections_timed_out_total{reason="request"}': 1,
            'coupond_connections_timed_out_total{reason="close"}': 1}
        problem(inside[0].response(), 408, "request_timeout")
        for client in inside[1:]:
            client.expect_end()


def server_connections(server):
    with server.admin_client() as client:
        return parse(text_of(client))["coupond_connections"]


# ---- what is known of the server ----

@pytest.mark.threads
def test_views_follow_and_the_judge_is_shown(server):
    server.create("EV", 3)
    for user in "abc":
        server.claim(user, "EV")
    with Watch(server) as watch:
        now = wait_until(lambda: (lambda now: now if all(
            now[f'coupond_view_lag_records{{thread="{thread}"}}'] == 0
            for thread in ("0", "1", "admin")) else None)(watch.now()), "every view")
    offsets = {value for key, value in now.items() if key.startswith("coupond_view_offset")}
    assert offsets == {now["coupond_engine_offset"]}
    judges = [key for key in now if key.startswith("coupond_event_judge_info")]
    assert len(judges) == 1
    offset, digest = re.search(r'offset="(\d+)",digest="([0-9a-f]{16})"', judges[0]).groups()
    assert float(offset) == now["coupond_engine_offset"]
    server.stop()
    server.restart()
    with Watch(server) as watch:
        again = watch.before
    assert judges[0] in again, "the same log gives the same digest"
    assert again["coupond_engine_offset"] >= float(offset)
    assert again['coupond_engine_records_total{type="win",verdict="valid"}'] == 0
    assert digest != "0" * 16


def test_the_process_and_the_build(server):
    now = parse(server.admin_client().get("/metrics").body.decode())
    build = [key for key in now if key.startswith("coupond_build_info")]
    version = run("--version").stdout.split()[1]
    assert len(build) == 1 and f'version="{version}"' in build[0]
    assert now["coupond_ready"] == 1 and now["coupond_log_failed"] == 0
    assert now["coupond_journal_has_reserve"] == 1 and now["coupond_journal_room_bytes"] > 0
    assert 0 <= now["coupond_uptime_seconds"] < 3600
    assert abs(now["process_start_time_seconds"] - time.time()) < 3600
    pid = server.process.pid
    assert abs(now["process_open_fds"] - len(os.listdir(f"/proc/{pid}/fd"))) <= 3
    assert now["process_threads"] == len(os.listdir(f"/proc/{pid}/task"))
    assert now["process_resident_memory_bytes"] > 1e6
    assert now["process_max_fds"] > now["process_open_fds"]


# ---- names are bounded ----

def test_the_newest_thousand_events_have_names(server):
    with server.admin_client() as client:
        fields = [("Authorization", f"Bearer {server.token}")]
        for n in range(1005):
            # One is called what the sum of the others is called.
            event = "_other" if n == 500 else f"e{n:04}"
            body = {"event_id": event, "total_stock": 10}
            assert client.request("POST", EVENTS, body, fields).status == 201
    with Watch(server) as watch:
        for event in ("e0003", "e0004", "e0005", "_other", "e1004", "e1004"):
            assert server.claim(f"of_{event}", event).status == 200
        moved = watch.moved("coupond_claims_total", "coupond_event_taken")
        assert moved == {
            claims("_other", "issued"): 3, 'coupond_event_taken{event="_other"}': 3,
            claims("e0005", "issued"): 1, 'coupond_event_taken{event="e0005"}': 1,
            claims("e1004", "issued"): 1, claims("e1004", "already_issued"): 1,
            'coupond_event_taken{event="e1004"}': 1}
        now = watch.now()
    for family, lines in (("coupond_claims_total", 9), ("coupond_event_stock", 1),
                          ("coupond_event_taken", 1)):
        names = [key for key in now if key.startswith(family + "{")]
        assert len(names) == (999 + 1) * lines
    assert now['coupond_event_stock{event="_other"}'] == 60
    assert sum(now[key] for key in now if key.startswith("coupond_event_stock")) == 10050
    assert sum(key.startswith("coupond_event_status{") for key in now) == 999
    assert now["coupond_events"] == 1005


# ---- who may read it ----

def test_it_is_public_only_when_asked_for(servers):
    closed = servers.start("--threads", "1")
    opened = servers.start("--threads", "1", "--metrics-public")
    problem(closed.get("/metrics"), 404, "not_found")
    with opened.client() as client:
        samples = parse(text_of(client))
        assert samples[requests("/metrics", "2xx", method="GET")] == 1
        head = client.request("HEAD", "/metrics")
        assert head.status == 200 and head.body == b""
        problem(client.request("POST", "/metrics", {}), 405, "method_not_allowed")
        assert parse(text_of(client))[requests("/metrics", "2xx", method="GET")] == 3


def test_an_old_client_gets_it_whole(server):
    server.create("EV", 1)
    with server.admin_client() as client:
        client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
        response = client.response()
        assert response.header("Transfer-Encoding") is None
        assert 'coupond_event_stock{event="EV"} 1' in response.body.decode()
        parse(response.body.decode())


@pytest.mark.threads
def test_scrapes_beside_a_stampede_never_go_backwards(server):
    server.create("EV", 50)
    load = subprocess.Popen(
        [*server.command()[:1], "load", "--url", "http://{}:{}".format(*server.ready.public),
         "--event", "EV", "--users", "3000", "--connections", "16", "--pipeline", "4",
         "--no-verify-export"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with Watch(server) as watch:
        last = {}
        while load.poll() is None:
            now = {key: value for key, value in watch.now().items() if "_total" in key}
            assert all(now[key] >= value for key, value in last.items())
            last = now
        assert load.returncode == 0, load.stdout.read()
        now = watch.now()
    told = {outcome: now[claims("EV", outcome)] for outcome in ("issued", "sold_out", "busy")}
    assert told == {"issued": 50, "sold_out": 2950, "busy": 0}
    assert now[requests(ISSUE, "2xx")] == 3000
    assert now['coupond_engine_records_total{type="win",verdict="valid"}'] == 50


# ---- the tool that the format is for ----

@pytest.mark.promtool
def test_promtool_has_nothing_to_say(server):
    """./check metrics brings promtool; COUPOND_PROMTOOL names another one."""
    promtool = os.environ.get("COUPOND_PROMTOOL") or shutil.which("promtool")
    assert promtool, "promtool is part of Debian's package prometheus"
    for event in ("EV", "_other"):
        server.create(event, 1)
        server.claim("u", event)
    with server.admin_client() as client:
        text = text_of(client)
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rules = server.folder / "rules.yml"
    done = subprocess.run([ROOT / "dev" / "document_metrics", "--rules"], capture_output=True,
                          text=True, check=True)
    rules.write_text(done.stdout)
    done = subprocess.run([promtool, "check", "rules", str(rules)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done
