# SPDX-License-Identifier: Apache-2.0
"""The command line: what is refused and how, environment and file, `coupond event`, help, and an end
in good order.
"""
import csv
import io
import json
import os
import re
import signal
import time

import pytest
from client import EVENTS, Closed, claim_bytes, request_bytes, status_path
from crowd import Crowd, Told
from harness import COUPOND, option_table, run, wait_until

COMMANDS = ["serve", "event", "load", "log", "config"]
USAGE = 2


def one_line(done):
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and done.stdout == "", done
    return lines[0]


# ---- help ----

def test_help_and_version():
    assert re.fullmatch(r"coupond \d+\.\d+\.\d+\n", run("--version").stdout)
    for words in (["--help"], ["help"]):
        told = run(*words).stdout
        for command in COMMANDS:
            assert f"coupond {command}" in told
    assert "usage:" in run(status=USAGE).stderr


def test_no_failpoint_is_in_it():
    """What ends the process on purpose is only in the builds of the fault tests."""
    program = open(COUPOND, "rb").read()
    assert b"COUPOND_ADMIN_TOKEN" in program and b"COUPOND_FAILPOINT" not in program


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command(command, tmp_path):
    """Also behind other words, right or wrong; and it does nothing else."""
    told = run(command, "--help").stdout
    assert f"usage: coupond {command}" in told and "--config FILE" in told
    for line in told.splitlines():
        assert len(line) <= 120 or line.startswith("usage:"), line
    assert run(command, "x", "--data-dir", tmp_path / "d", "--nonsense", "--help").stdout == told
    assert not (tmp_path / "d").exists()


# ---- wrong usage ----

@pytest.mark.parametrize("words, told", [
    (["nonsense"], "nonsense"), (["serves"], "serves"), (["--nonsense"], "nonsense"),
    (["serve", "word"], "word"),
    (["serve", "--thread", "2"], "did you mean --threads?"),
    (["serve", "--admin-listn", "x"], "did you mean --admin-listen?"),
    (["serve", "--stock", "5"], "--stock"),
    (["serve", "--listen"], "--listen"), (["serve", "--threads="], "--threads"),
    (["event", "list", "--threads", "5"], "--threads"),
    (["load", "--users", "5"], "--event"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_words(words, told):
    assert told in one_line(run(*words, status=USAGE))


GARBAGE = {"number": "many", "bytes": "12parsecs", "duration": "5 lightyears", "decimal": "often",
           "choice": "neither", "switch": "maybe"}
# Texts that are no value, beside the empty one where the table asks for a character.
BAD_TEXTS = {"config": ["/nonexistent/file"], "listen": ["x", "1.2.3.4", ":80", "127.0.0.1:65536"],
             "admin-listen": ["x", "1.2.3.4", ":80", "127.0.0.1:65536"]}
# Any text is a value, or the rule is the command's own: test_wrong_usage_of_event and others below.
FREE_TEXTS = {"data-dir", "token-file", "admin-token", "code-prefix", "reason", "operator",
              "user-prefix", "json", "admin", "url", "event", "starts", "ends", "code-alphabet",
              "user", "jwt-audience"}


def bad_values(row):
    """Garbage, nothing, and the numbers next to the limits."""
    if row["type"] == "text":
        return BAD_TEXTS.get(row["name"], []) + ([""] if row["min"] else [])
    values = [GARBAGE[row["type"]], ""]
    if row["type"] in ("number", "bytes", "duration", "decimal"):
        suffix = "ms" if row["type"] == "duration" else ""
        values += [f"{n}{suffix}" for n in (row["min"] - 1, row["max"] + 1, 10**30)]
    return values


@pytest.mark.parametrize("command", COMMANDS)
def test_a_value_that_is_none(command, tmp_path):
    """Of every option, as a flag, a variable and a line: one line that names it, and status 2."""
    rows = option_table(command)
    config, clean = tmp_path / "c", environment(COUPOND_DATA_DIR=str(tmp_path / "d"))
    assert rows
    for row in rows:
        name, variable = row["name"], "COUPOND_" + row["name"].upper().replace("-", "_")
        values = bad_values(row)
        assert values or name in FREE_TEXTS, f"{name}: say in this test which texts are bad"
        for value in values:
            told = one_line(run(command, f"--{name}={value}", status=USAGE, environment=clean))
            assert f"--{name}" in told and (value or '""') in told
        if row["flag_only"] or not values:
            continue
        told = one_line(run(command, status=USAGE, environment=dict(clean, **{variable: values[0]})))
        assert name in told or variable in told
        if name != "config":
            config.write_text(f"\n{name} = {values[0]}\n")
            told = one_line(run(command, "--config", config, status=USAGE, environment=clean))
            assert name in told and values[0] in told
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("flag", ["--listen", "--admin-listen"])
@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:", ":8080", "127.0.0.1:x",
                                     "127.0.0.1:65536", "300.0.0.1:80", "[::1:80", "::1:80", ""])
def test_an_address_that_is_none(tmp_path, flag, address):
    other = {"--listen": "--admin-listen", "--admin-listen": "--listen"}[flag]
    done = run("serve", flag, address, other, "127.0.0.1:0", "--data-dir", tmp_path / "d",
               "--journal-segment", "64KiB", status=USAGE)
    assert flag in one_line(done)


@pytest.mark.parametrize("words, told", [
    (["create"], "usage"), (["create", "a b", "--stock", "1"], "EVENT"), (["create", "x"], "--stock"),
    (["create", "x", "--stock", "1", "--starts", "soon"], "--starts"),
    (["create", "x", "--stock", "1", "--ends", "2030-02-30T00:00:00Z"], "--ends"),
    (["create", "x", "--stock", "1", "--code-alphabet", "AA"], "code"),
    (["create", "x", "--stock", "1", "--reason", "r" * 300], "reason"),
    (["show"], "usage"), (["show", "x", "y"], "usage"), (["list", "x"], "usage"), (["export"], "usage"),
    (["export", "x", "--format", "xml"], "--format"), (["nonsense"], "usage"), ([], "usage"),
    (["list", "--admin", "ftp://x"], "ftp"), (["list", "--admin", "http://"], "http"),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "")
def test_wrong_usage_of_event(words, told):
    """Found before any server is asked."""
    done = run("event", *words, *([] if "--admin" in words else ["--admin", "http://127.0.0.1:1"]),
               status=USAGE)
    assert told in done.stderr and done.stdout == "" and "no server" not in done.stderr


# ---- environment and file ----

def environment(**variables):
    return dict(os.environ, **variables)


def test_an_option_is_a_flag_a_variable_and_a_line(servers, tmp_path):
    """The flag wins over the environment, that over the file, that over the default."""
    config = tmp_path / "coupond.conf"
    config.write_text("# a comment\n\nthreads = 1\nconnections-max=11\n  body-max = 1KiB  \n")
    server = servers.start("--config", str(config), "--body-max", "2KiB",
                           environment={"COUPOND_THREADS": "3", "COUPOND_BODY_MAX": "3KiB"})
    assert "threads=3" in server.stderr()
    with server.client() as client:
        assert client.request("POST", "/api/v1/coupons/issue", b"x" * 2048).status == 400
        assert client.request("POST", "/api/v1/coupons/issue", b"x" * 2049).status == 413
    clients = [server.client() for _ in range(12)]
    answers = []
    for client in clients:
        try:
            answers.append(client.get("/livez").status)
        except (Closed, OSError):
            answers.append(503)
    # All are open until the last is asked; which of them comes last is up to the threads.
    assert answers.count(503) in (1, 2), "connections-max of the file"
    for client in clients:
        client.close()


@pytest.mark.parametrize("text, told", [
    ("nonsense = 1\n", "nonsense"), ("threads = many\n", "threads"), ("threads\n", ":1"),
    ("thread = 1\n", "threads"), ("\n\nbody-max = 1\n", "body-max"), ("= 5\n", ":1"),
])
def test_a_file_that_is_wrong(tmp_path, text, told):
    config = tmp_path / "coupond.conf"
    config.write_text(text)
    line = one_line(run("serve", "--config", config, status=USAGE))
    assert told in line and str(config) in line


def test_a_variable_that_is_wrong():
    line = one_line(run("serve", status=USAGE, environment=environment(COUPOND_THREADS="many")))
    assert "COUPOND_THREADS" in line and "many" in line


def test_the_file_may_be_named_in_the_environment(tmp_path):
    config = tmp_path / "c"
    config.write_text("threads = none\n")
    done = run("serve", status=USAGE, environment=environment(COUPOND_CONFIG=str(config)))
    assert "threads" in one_line(done)
    assert "nowhere" in one_line(run("serve", "--config", tmp_path / "nowhere", status=USAGE))


# ---- coupond event ----

def test_events_by_hand(server):
    made = server.event("create", "spring", "--stock", "3", "--reason", "a test")
    assert re.search(r"^stock +3$", made.stdout, re.M) and made.stderr == ""
    again = server.event("create", "spring", "--stock", "3", status=1)
    assert "event_exists" in again.stderr and again.stdout == ""
    server.event("create", "autumn", "--stock", "5", "--starts", "2031-09-01T00:00:00+09:00",
                 "--ends", "2031-12-01T00:00:00Z", "--code-prefix", "AUT-", "--code-alphabet",
                 "0123456789", "--code-length", "26", "--operator", "grace")
    for user in ("ada", "bob"):
        server.claim(user, "spring")

    listed = server.event("list").stdout.splitlines()
    assert listed[0].split()[0] == "EVENT" and [line.split()[0] for line in listed[1:]] == [
        "spring", "autumn"]
    assert json.loads(server.event("list", "--raw").stdout) == server.admin("GET", EVENTS).json
    shown = server.event("show", "autumn").stdout
    for word in ("scheduled", "2031-08-31T15:00:00.000Z", "AUT-", "26"):
        assert word in shown
    assert json.loads(server.event("show", "spring", "--raw").stdout)["total_participants"] == 2

    rows = list(csv.DictReader(io.StringIO(server.event("export", "spring").stdout)))
    assert [(row["serial"], row["user_id"]) for row in rows] == [("1", "ada"), ("2", "bob")]
    lines = server.event("export", "spring", "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == server.export("spring")
    assert "unknown_event" in server.event("show", "winter", status=1).stderr
    assert "unknown_event" in server.event("export", "winter", status=1).stderr


def test_a_large_export_by_hand(server):
    stock = 5000
    server.create("large", stock)
    with server.client() as client:
        client.send(b"".join(claim_bytes(f"u{n}", "large") for n in range(stock)))
        for _ in range(stock):
            assert client.response().status == 200
    assert len(server.event("export", "large").stdout.splitlines()) == stock + 1


def test_where_the_token_comes_from(server, tmp_path):
    url = ["--admin", server.admin_url]
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(server.token + "\n")
    bad.write_text("0" * 64)
    elsewhere = ["--data-dir", str(tmp_path / "empty")]
    run("event", "list", *url, "--data-dir", server.data)
    run("event", "list", *url, *elsewhere, "--token-file", good)
    run("event", "list", *url, *elsewhere, environment=environment(COUPOND_ADMIN_TOKEN=server.token))
    assert "unauthorized" in run("event", "list", *url, "--token-file", bad, status=1).stderr
    told = run("event", "list", *url, *elsewhere, status=1).stderr
    assert "--token-file" in told and "COUPOND_ADMIN_TOKEN" in told


def test_the_wrong_door_or_none(server, tmp_path):
    public = "http://{}:{}".format(*server.ready.public)
    words = ["event", "list", "--data-dir", server.data]
    assert "not_found" in run(*words, "--admin", public, status=1).stderr
    told = run(*words, "--admin", "http://127.0.0.1:1", status=1).stderr
    assert "127.0.0.1:1" in told and "--admin" in told


def test_the_token_is_never_shown(server):
    for words in (["list"], ["show", "x"]):
        for status in (None,):
            done = run("event", *words, "--admin", server.admin_url, "--data-dir", server.data,
                       status=status)
            assert server.token not in done.stdout + done.stderr
    assert server.token not in server.stderr()


# ---- the end ----

def test_the_first_line_tells_all(servers):
    server = servers.start("--threads", "3")
    line = [line for line in server.stderr().splitlines() if line.startswith("ready ")]
    assert len(line) == 1
    for word in (f"data_dir={server.data}", f"pid={server.process.pid}", "threads=3", "events=0"):
        assert word in line[0].split()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(servers, number):
    server = servers.start()
    server.create("EV", 3)
    server.claim("ada", "EV")
    idle = server.client()
    server.process.send_signal(number)
    assert server.wait(5) == 0
    assert "event=stopped" in server.stderr() and signal.Signals(number).name in server.stderr()
    idle.expect_end()
    server.restart()
    assert server.status_of("EV")["total_participants"] == 1


def test_a_hangup_is_no_end(server):
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded changed=0" in server.stderr(), "word of it")
    assert server.get("/livez").status == 200


@pytest.mark.threads
@pytest.mark.parametrize("depth", [1, 40, 250])
def test_what_was_sent_before_the_signal_is_answered(servers, depth):
    """All of it, although the server has read nothing of it yet: it stands still meanwhile."""
    server = servers.start("--threads", "2")
    server.create("EV", 2000)
    clients = [server.client() for _ in range(30)]
    for n, client in enumerate(clients):
        assert client.claim(f"first-{n}", "EV").status == 200
    server.process.send_signal(signal.SIGSTOP)
    for n, client in enumerate(clients):
        client.send(b"".join(claim_bytes(f"u{n}-{i}", "EV") for i in range(depth)))
    server.terminate()
    server.process.send_signal(signal.SIGCONT)
    for client in clients:
        answers = [client.response() for _ in range(depth)]
        assert all(answer.status == 200 for answer in answers)
        closing = [answer.header("Connection") == "close" for answer in answers]
        assert not any(closing[:-1])
        client.expect_end()
        client.close()
    assert server.wait(15) == 0


@pytest.mark.threads
def test_a_drain_in_the_middle_of_a_crowd(servers):
    server = servers.start("--threads", "2")
    told = Told("EV", 3000)
    server.create("EV", 3000)
    work = Crowd(server, told, [f"u{n}" for n in range(6000)], threads=16)
    time.sleep(0.2)
    server.terminate()
    assert server.wait(15) == 0
    work.wait()
    assert "event=stopped" in server.stderr()
    server.restart()
    told.check_against(server)
    rows = server.export("EV")
    assert len(rows) == len(told.coupons), "nothing was decided that nobody heard of"
    told.sell_the_rest(server, "rest")


def test_draining_answers_who_waits_and_takes_nobody_new(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "30s", "--drain-timeout", "30s",
                           **disk.preload)
    server.create("EV", 10)
    disk.hold()
    waiting = server.client()
    waiting.send(claim_bytes("ada", "EV") + request_bytes("GET", status_path("EV")))
    disk.await_held()
    server.terminate()
    wait_until(lambda: "event=draining" in server.stderr(), "word of it")
    time.sleep(0.2)
    with pytest.raises(OSError):
        server.client()
    assert server.is_running() and waiting.is_open()
    disk.release()
    assert waiting.response().json["serial"] == 1
    waiting.close()
    assert server.wait(10) == 0


def test_a_drain_ends_in_its_time(servers, disk):
    """Who is still undecided then is told so."""
    server = servers.start("--threads", "1", "--answer-timeout", "30s", "--drain-timeout", "500ms",
                           **disk.preload)
    server.create("EV", 10)
    disk.hold()
    with server.client() as client:
        client.send(claim_bytes("ada", "EV"))
        disk.await_held()
        start = time.monotonic()
        server.terminate()
        assert client.response().status == 202
        assert 0.3 < time.monotonic() - start < 4
        client.expect_end()
    disk.release()
    assert server.wait(10) == 0


def test_a_drain_in_the_middle_of_an_admin_write(servers, disk):
    """Threads that have nothing to do end at once; the write does not wait for them."""
    server = servers.start("--threads", "2", "--answer-timeout", "30s", "--drain-timeout", "30s",
                           **disk.preload)
    disk.hold()
    with server.admin_client() as client:
        client.send(request_bytes("POST", EVENTS, {"event_id": "EV", "total_stock": 10},
                                  [("Authorization", f"Bearer {server.token}")]))
        disk.await_held()
        server.terminate()
        wait_until(lambda: "event=draining" in server.stderr(), "word of it")
        time.sleep(0.3)
        disk.release()
        assert client.response().status == 201
    assert server.wait(10) == 0


def test_a_second_signal_ends_it_at_once(servers, disk):
    server = servers.start("--threads", "1", "--answer-timeout", "30s", "--drain-timeout", "10m",
                           **disk.preload)
    server.create("EV", 10)
    disk.hold()
    with server.client() as client:
        client.send(claim_bytes("ada", "EV"))
        disk.await_held()
        server.terminate()
        wait_until(lambda: "event=draining" in server.stderr(), "word of it")
        server.terminate()
        assert server.wait(5) == -signal.SIGTERM
    disk.heal()
    server.restart()
    assert server.claim("ada", "EV").json["serial"] == 1


def test_a_server_that_may_not_listen_says_so(servers):
    """192.0.2.1 is nobody's address."""
    server = servers.new("--listen", "192.0.2.1:8080").spawn()
    assert server.wait() == 1
    assert "192.0.2.1:8080" in server.stderr() and "annot" in server.stderr()


def test_an_open_door_is_warned_of(servers):
    server = servers.start("--listen", "0.0.0.0:0", "--threads", "1")
    assert "event=no_authentication" in server.stderr()
    server.stop()
    assert "event=no_authentication" not in servers.start().stderr()


def test_the_program_is_where_it_should_be():
    assert os.access(COUPOND, os.X_OK)
