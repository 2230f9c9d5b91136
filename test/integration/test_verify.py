# SPDX-License-Identifier: Apache-2.0
"""`coupond verify`: what is right is found right, also in the middle of it all, and what was changed by
hand is found and named; by the command, and by the server about itself.
"""
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import time

import pytest
from client import problem
from harness import COUPOND, READY_SECONDS, count, run, wait_until

pytestmark = pytest.mark.threads

COMMAND_SECONDS = 600


# ---- asking ----

def verify(server, *words, status=0, views=False):
    """The report of `coupond verify --json`, whose exit status is checked."""
    admin = ["--admin", server.admin_url] if views else []
    done = run("verify", "--data-dir", server.data, "--json", "--recheck-after", "0", *admin, *words,
               status=None)
    assert done.returncode == status, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["verified"] == (status == 0) == (report["findings"] == [])
    return report


def findings(report):
    return {found["check"]: found["evidence"] for found in report["findings"]}


@contextlib.contextmanager
def database(server):
    connection = sqlite3.connect(server.data / "coupons.sqlite", isolation_level=None, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def change(server, sql, *values):
    """By hand, past every constraint but those of the columns."""
    with database(server) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(sql, values)


def await_copy(server):
    wait_until(lambda: server.health()["copy"] == {
        "status": "ok", "applied_seq": server.health()["copy"]["applied_seq"], "records_behind": 0},
        "the copy is up", READY_SECONDS)


def load_command(server, history, *words, event="EV"):
    return [COUPOND, "load", "--url", "http://{}:{}".format(*server.ready.public), "--event", event,
            "--no-verify-export", "--history", str(history), *map(str, words)]


def load(server, history, *words, event="EV"):
    """A run of the load generator; whether it liked what it saw is its own tests' matter."""
    done = subprocess.run(load_command(server, history, *words, event=event), capture_output=True,
                          text=True, timeout=COMMAND_SECONDS, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@contextlib.contextmanager
def loading(server, history, *words):
    """A run meanwhile; awaited at the end."""
    log = history.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(load_command(server, history, *words), stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out)
    try:
        yield process
        assert process.wait(COMMAND_SECONDS) in (0, 1), log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(name="settled")
def settled_fixture(servers):
    """A server with coupons, one of them returned, a restock and a second event; nothing under way."""
    server = servers.start("--threads", "2", "--verify-every", "0")
    server.create("EV", 20)
    server.create("OTHER", 3)
    for i in range(12):
        assert server.claim(f"u-{i}", "EV").result == "issued"
    server.event("return", "EV", "--user", "u-3", "--reason", "no \"use\"")
    server.event("restock", "EV", "--to", "25")
    assert server.claim("u-new", "EV").json["serial"] == 4
    await_copy(server)
    return server


# ---- what is right ----

def test_all_is_well(settled):
    report = verify(settled, views=True)
    assert report["log"]["coupons"] == 13 and report["log"]["events"] == 2
    assert report["copy"]["applied_seq"] == report["log"]["last_seq"]
    assert report["views"] == 5  # engine, two threads, admin, copy
    text = run("verify", "--data-dir", settled.data).stdout
    assert "verified: everything agrees" in text and "R1   ok" in text and "C1" not in text
    settled.stop()
    assert verify(settled)["copy"]["applied_seq"] == report["copy"]["applied_seq"]
    settled.restart()
    assert settled.claim("u-later", "EV").result == "issued"
    await_copy(settled)
    verify(settled, views=True)


def control(server, dice, number):
    """One thing that an operator does."""
    kind = dice.choice(["pause", "restock", "return", "reschedule"])
    if kind == "pause":
        server.event("pause", "EV")
        server.event("resume", "EV")
    elif kind == "restock":
        server.event("restock", "EV", "--to", str(1000 + number))
    elif kind == "reschedule":
        server.event("reschedule", "EV", "--ends", f"2099-01-01T00:00:{number % 60:02}Z")
    else:
        held = server.export("EV")
        if held:
            server.event("return", "EV", "--user", dice.choice(held)["user_id"])


def test_no_false_alarm_under_load(servers, tmp_path):
    seed = int(os.environ.get("COUPOND_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"COUPOND_TEST_SEED={seed}")
    dice = random.Random(seed)
    server = servers.start("--threads", "2", "--verify-every", "200ms")
    server.create("EV", 1000)
    history = tmp_path / "history"
    seconds = count(8, 60)
    with loading(server, history, "--users", 100000, "--rate", 200, "--duration", f"{seconds}s",
                 "--retries", "0.2", "--duplicates", "0.1") as process:
        passes = 0
        while process.poll() is None:
            control(server, dice, passes)
            # One look is enough: what is compared is compared at one record.
            verify(server, views=True)
            passes += 1
    assert passes >= 3
    await_copy(server)
    wait_until(lambda: server.health()["verify"]["passes"] >= 3, "it verifies itself", 120)
    assert server.health()["verify"]["status"] == "ok"
    report = verify(server, "--history", history, views=True)
    assert report["requests"] > 100 * seconds
    server.stop()
    verify(server, "--history", history)
    assert "event=finding" not in server.stderr() and "cannot_verify" not in server.stderr()


# ---- what was changed by hand ----

CHANGES = {
    "a holder": ("UPDATE user_coupons SET user_id = 'eve' WHERE serial = 2", "R1",
                 'user_coupons, event EV, serial 2: user_id is "eve", by the log "u-1"'),
    "a code": ("UPDATE user_coupons SET code = 'CODE' WHERE serial = 5", "R1", 'code is "CODE"'),
    "a time": ("UPDATE user_coupons SET claimed_ms = 1 WHERE serial = 6", "R1", "claimed_ms is 1"),
    "a number": ("UPDATE user_coupons SET log_seq = 9999 WHERE serial = 6", "R1", "log_seq is 9999"),
    "a claim id": ("UPDATE user_coupons SET claim_id = 'x' WHERE serial = 7", "R1", "claim_id"),
    "a generation": ("UPDATE user_coupons SET gen = 8 WHERE serial = 7", "R1", "gen is 8"),
    "a round": ("UPDATE coupons SET round = 3 WHERE serial = 4 AND event_id = 'EV'", "R1",
                "coupons, event EV, serial 4: round is 3, by the log 1"),
    "an event": ("UPDATE events SET state = 'paused' WHERE event_id = 'OTHER'", "R1",
                 'events, event OTHER, serial 0: state is "paused", by the log "open"'),
    "an end": ("UPDATE events SET end_ms = 99 WHERE event_id = 'OTHER'", "R1", "end_ms is 99"),
    "a version": ("UPDATE events SET ver = 9 WHERE event_id = 'EV'", "R1", "ver is 9"),
    "taken": ("UPDATE events SET taken = 11 WHERE event_id = 'EV'", "R6", "taken 11"),
    "a reason": ("UPDATE user_coupons_history SET reason = NULL", "R1",
                 'reason is "", by the log "no "use""'),
    "who returned it": ("UPDATE user_coupons_history SET user_id = 'eve'", "R1", "u-3"),
    "a return": ("DELETE FROM user_coupons_history", "R1", "the row of user u-3"),
    "a missing holder": ("DELETE FROM user_coupons WHERE serial = 2", "R1",
                         "user_coupons, event EV, serial 2: the row of user u-1"),
    "a missing coupon": ("DELETE FROM coupons WHERE serial = 20 AND event_id = 'EV'", "R1",
                         "coupons, event EV, serial 20: the row is missing"),
    "a missing event": ("DELETE FROM events WHERE event_id = 'OTHER'", "R1",
                        "events, event OTHER, serial 0: the row is missing"),
    "one holder more": ("INSERT INTO user_coupons VALUES "
                        "('EV', 19, 'eve', NULL, 'CODE', 0, 1, 5, 77777)", "R1",
                        "user eve holds it, by the log nobody"),
    "one coupon more": ("INSERT INTO coupons VALUES ('EV', 26, 0)", "R6", "rows of holders"),
    "one event more": ("INSERT INTO events VALUES ('NEW', 1, 0, 'open', 1, 1, NULL, NULL, 99999)",
                       "R1", "the log has no such event"),
    "a place back": ("UPDATE meta SET applied_seq = applied_seq - 1", "R9", "is not the place"),
    "a place ahead": ("UPDATE meta SET applied_seq = applied_seq + 1000", "R9", "is beyond the end"),
    "a place elsewhere": ("UPDATE meta SET applied_crc = 1", "R9", "is not the place of a record"),
    "no place": ("DELETE FROM meta", "R9", "cannot be read"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_change_by_hand_is_found_and_named(settled, name, running):
    sql, check, words = CHANGES[name]
    if not running:
        settled.stop()
    verify(settled)
    change(settled, sql)
    found = findings(verify(settled, status=1))
    assert check in found, found
    assert any(words in text for text in found[check]), found
    text = run("verify", "--data-dir", settled.data, "--recheck-after", "50ms", status=1).stdout
    assert f"{check:4} FINDING" in text and "in 2 passes" in text


def test_a_copy_that_is_missing_or_not_ours(settled):
    settled.stop()
    path = settled.data / "coupons.sqlite"
    path.rename(settled.folder / "kept")
    assert "the copy is missing" in findings(verify(settled, status=1))["R9"][0]
    assert verify(settled, "--sqlite", "none")["copy"] is None
    path.write_bytes(b"no database, but long enough to be taken for one" * 100)
    assert list(findings(verify(settled, status=1))) == ["R9"]
    path.unlink()
    with database(settled) as connection:
        connection.execute("CREATE TABLE t(x)")
    assert "is not a copy" in findings(verify(settled, status=1))["R9"][0]
    path.unlink()
    settled.restart()  # makes a new one of the journal
    await_copy(settled)
    verify(settled, views=True)


def test_a_copy_of_another_journal(servers, settled):
    other = servers.start()
    other.create("EV", 20)
    for i in range(12):
        other.claim(f"u-{i}", "EV")
    await_copy(other)
    for server in (settled, other):
        server.stop()
    shutil.copy(other.data / "coupons.sqlite", settled.data / "coupons.sqlite")
    assert "R9" in findings(verify(settled, status=1))


def test_a_journal_that_cannot_be_read(settled):
    settled.stop()
    [segment] = settled.data.glob("journal-*.log")
    bytes_ = bytearray(segment.read_bytes())
    bytes_[300] ^= 1
    segment.write_bytes(bytes_)
    done = run("verify", "--data-dir", settled.data, status=1)
    assert segment.name in done.stderr
    assert run("verify", "--data-dir", settled.folder / "nowhere", status=1).stderr


def test_a_backup_is_verified_too(settled):
    settled.run("backup", settled.folder / "backup", "--data-dir", settled.data)
    done = run("verify", "--data-dir", settled.folder / "backup", "--sqlite", "none")
    assert "13 coupons issued" in done.stdout


# ---- the server about itself ----

def test_the_server_finds_it_itself(servers):
    server = servers.start("--threads", "1", "--verify-every", "100ms")
    server.create("EV", 5)
    server.claim("ada", "EV")
    await_copy(server)
    wait_until(lambda: server.health()["verify"]["passes"] > 1, "a pass", 60)
    assert server.health()["verify"]["status"] == "ok"
    change(server, "UPDATE user_coupons SET user_id = 'eve'")
    wait_until(lambda: server.health()["verify"]["status"] == "findings", "it is found", 60)
    assert server.health()["status"] == "degraded"
    assert "event=finding check=R1" in server.stderr() and "'eve'" in server.stderr()
    with server.admin_client() as client:
        lines = client.get("/metrics").body.decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("coupond_verify"))
    assert values['coupond_verify_findings{check="R1"}'] == "1"
    assert values['coupond_verify_findings{check="R11"}'] == "0"
    assert float(values["coupond_verify_passes_total"]) > 1
    assert abs(float(values["coupond_verify_last_pass_timestamp_seconds"]) - time.time()) < 3600
    change(server, "UPDATE user_coupons SET user_id = 'ada'")
    wait_until(lambda: server.health()["verify"]["status"] == "ok", "it is gone", 60)
    assert server.health()["status"] == "ok" and "event=findings_gone" in server.stderr()
    server.stop()


def test_it_need_not(servers):
    server = servers.start("--verify-every", "0")
    assert server.health()["verify"] == {"status": "off"}
    server.stop()


# ---- views ----

def test_where_the_views_are(settled):
    problem(settled.admin("GET", "/admin/v1/views", token=False), 401, "unauthorized")
    views = settled.admin("GET", "/admin/v1/views").json["views"]
    assert [view["name"] for view in views] == ["engine", "thread 0", "thread 1", "admin", "copy"]
    wait_until(lambda: len({(view["seq"], view["digest"]) for view in settled.admin(
        "GET", "/admin/v1/views").json["views"]}) == 1, "all views agree")


def test_views_of_another_log(servers, settled):
    other = servers.start("--threads", "1")
    other.create("EV", 20)
    await_copy(other)
    report = json.loads(run("verify", "--data-dir", settled.data, "--json", "--recheck-after", "0",
                            "--admin", other.admin_url, "--token-file", other.data / "admin.token",
                            status=1).stdout)
    assert list(findings(report)) == ["R11"] and report["findings"][0]["count"] == 4
    done = run("verify", "--data-dir", settled.data, "--admin", "http://127.0.0.1:1", status=1)
    assert "127.0.0.1:1" in done.stderr


# ---- histories ----

def test_histories_through_kills(servers, tmp_path):
    """Two runs at once, the server killed and started again at any moment."""
    server = servers.start("--threads", "2", "--listen", "127.0.0.1:0")
    server.create("EV", 300)
    server.flags = [*server.flags[:-2], "--listen", "{}:{}".format(*server.ready.public)]
    histories = [tmp_path / "a", tmp_path / "b"]
    words = ["--users", 600, "--retries", "0.3", "--duplicates", "0.2", "--connections", 8,
             "--rate", 300]
    with loading(server, histories[0], *words), loading(server, histories[1], *words):
        for _ in range(3):
            time.sleep(0.4)
            server.kill()
            server.restart()
    await_copy(server)
    report = verify(server, "--history", *histories, views=True)
    assert report["requests"] > 1200 and len(report["histories"]) == 2
    assert report["log"]["coupons"] == 300
    lost = sum(text.count('"a":"lost"') for text in (path.read_text() for path in histories))
    print(f"{lost} requests whose answer was lost")
    # The other's winners never asked in this history.
    assert list(findings(verify(server, "--history", histories[0], status=1))) == ["C4"]
    verify(server, "--shared", "--history", histories[0])


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_history_is_lines_of_json(settled, tmp_path):
    path = tmp_path / "history"
    load(settled, path, "--users", 40, "--user-prefix", "w-", "--bad", "0.5")
    head, *ops, end = lines_of(path)
    assert head["coupond_history"] == 1 and head["event"] == "EV" and head["prefix"] == "w-"
    assert end["end"] == len(ops) == 40 and end["ns"] > head["ns"] and end["ms"] >= head["ms"]
    held = {row["user_id"]: row for row in settled.export("EV")}
    for op in ops:
        assert op["k"] == "c" and head["ns"] <= op["i"] <= op["r"] <= end["ns"]
        if op["a"] == "issued":
            row = held[op["u"]]
            assert (op["s"], op["c"]) == (row["serial"], row["coupon_id"])
        else:
            assert op["a"].startswith("sold_out") and "s" not in op
    assert sum(op["a"] == "issued" for op in ops) == 13
    verify(settled, "--history", path)
    assert path.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(load_command(settled, path, "--users", 1), capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and "exists" in done.stderr.lower()


def test_a_lie_in_a_history_is_found(settled, tmp_path):
    path = tmp_path / "history"
    load(settled, path, "--users", 40, "--user-prefix", "w-")
    text = path.read_text()
    issued = next(line for line in text.splitlines() if '"issued"' in line)
    path.write_text(text.replace(issued, issued.replace('"c":"', '"c":"X')))
    found = findings(verify(settled, "--history", path, status=1))
    assert list(found) == ["C3"] and str(path) in found["C3"][0]
    assert f":{text.splitlines().index(issued) + 1}:" in found["C3"][0]


def test_a_history_that_was_cut_off(settled, tmp_path):
    path = tmp_path / "history"
    load(settled, path, "--users", 40, "--user-prefix", "w-")
    text = path.read_text()
    path.write_text(text[:len(text) // 2])
    report = run("verify", "--data-dir", settled.data, "--history", path).stdout
    assert "cut off" in report
    path.write_text(text.replace('"k":"c"', '"k":"x"', 1))
    done = run("verify", "--data-dir", settled.data, "--history", path, status=1)
    assert "line 2" in done.stderr
    path.write_text(text.replace('"boot":"', '"boot":"0'))
    assert run("verify", "--data-dir", settled.data, "--history", path, status=1).stderr


def test_wrong_use(settled):
    assert "--history" in run("verify", "word", status=2).stderr
    assert run("verify", "--no-such-option", status=2).stderr
    assert run("verify", "--data-dir", settled.data, "--history", settled.folder / "none",
               status=1).stderr
