# SPDX-License-Identifier: Apache-2.0
"""`coupond load` against servers that lie: each lie is found and named, and the truth is not.

The lies are those of test/fake/lying_server.py. A checker that cannot fail proves nothing: that is
why there is a test for every single thing that it claims to check.
"""
import contextlib
import json
import os
import runpy
import signal
import socket
import subprocess
import time

import pytest
from harness import COUPOND, ROOT, wait_until

FAKE = ROOT / "test" / "fake" / "lying_server.py"
LIES = runpy.run_path(str(FAKE))
SECONDS = 60

# What must be found in each mode, by the names of src/verify/load_finding.h. Modes that do nothing
# wrong have none. Others may come along with it: one lie often breaks two rules.
TRUE = ["honest", "pending", "busy", "cut_off", "closing", "stall", "away"]
FOUND = {
    "oversell": ["serial_range", "oversold", "export_serial"],
    "serial_twice": ["serial_twice", "export_serial"],
    "serial_zero": ["serial_range", "export_serial"],
    "coupon_twice": ["coupon_twice", "export_coupon"],
    "coupon_changed": ["coupon_changed"],
    "issued_twice": ["issued_twice"],
    "unmarked": ["header"],
    "taken_back": ["taken_back"],
    "already_new": ["already_issued_new"],
    "early": ["sold_out_early", "undersold"],
    "early_not_final": ["sold_out_early"],
    "reopened": ["final_reopened"],
    "order": ["wrong_user"],
    "wrong_user": ["wrong_user"],
    "wrong_event": ["field"],
    "disagree": ["disagree"],
    "no_issued_at": ["field"],
    "no_final": ["field"],
    "sold_with_coupon": ["disagree"],
    "unknown_result": ["field"],
    "not_json": ["body"],
    "twin_keys": ["body"],
    "no_retry_after": ["header"],
    "pending_for_ever": ["unanswered"],
    "status_500": ["status"],
    "bad_accepted": ["status"],
    "garbage": ["protocol"],
    "length_short": ["protocol"],
    "length_long": ["protocol"],
    "length_twice": ["protocol"],
    "chunked": ["protocol"],
    "unasked": ["protocol"],
    "cut_always": ["unanswered"],
    "silent": ["unanswered"],
    "export_missing": ["export_missing"],
    "export_stranger": ["export_stranger", "export_missing"],
    "export_denied": ["export_denied", "export_missing"],
    "export_differs": ["export_differs"],
    "export_twice": ["export_serial", "export_stranger"],
    "export_garbage": ["export_line", "export_missing"],
    "export_refused": ["export_unreadable"],
}


@contextlib.contextmanager
def lying_server(mode, *flags):
    """Runs the fake; gives its port."""
    process = subprocess.Popen(["/usr/bin/python3", str(FAKE), mode, *flags],
                               stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Load:
    """A run of `coupond load` to its end."""

    def __init__(self, folder, port, *flags, event="E", token=LIES["TOKEN"]):
        self.json_file = folder / "load.json"
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("COUPOND_")}
        if token is not None:
            environment["COUPOND_ADMIN_TOKEN"] = token
        url = f"http://127.0.0.1:{port}"
        self.command = [COUPOND, "load", "--url", url, "--admin", url, "--event", event,
                        "--data-dir", str(folder), "--json", str(self.json_file), *flags]
        self.process = subprocess.Popen(self.command, env=environment, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self):
        try:
            self.out, self.errors = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        self.status = self.process.returncode
        self.report = json.loads(self.json_file.read_text()) if self.json_file.exists() else None
        return self

    @property
    def findings(self):
        return {finding["kind"]: finding for finding in self.report["findings"]}


def load(folder, port, *flags, **options):
    return Load(folder, port, *flags, **options).end()


CROWD = ["--users", "600", "--connections", "16", "--pipeline", "4", "--seed", "7",
         "--retries", "0.3", "--duplicates", "0.2", "--bad", "0.2", "--timeout", "500ms"]


def test_every_lie_has_its_test():
    assert set(LIES["MODES"]) == set(TRUE) | set(FOUND)


@pytest.mark.parametrize("mode", TRUE)
def test_the_truth_is_verified(tmp_path, mode):
    with lying_server(mode) as port:
        run = load(tmp_path, port, *CROWD)
    assert run.status == 0, run.out + run.errors
    assert run.report["verified"] and run.report["findings"] == []
    assert run.out.endswith("verified: 100 issued to 100 users, export equal\n")
    users = run.report["users_told"]
    assert (users["asked"], users["coupon"], users["sold_out_final"]) == (600, 100, 500)
    assert run.report["export"]["rows"] == 100
    assert run.report["outcomes"]["refused"] > 0


@pytest.mark.parametrize("mode", sorted(FOUND))
def test_a_lie_is_found(tmp_path, mode):
    with lying_server(mode) as port:
        run = load(tmp_path, port, *CROWD)
    assert run.status == 1, run.out + run.errors
    assert not run.report["verified"]
    for kind in FOUND[mode]:
        assert kind in run.findings, run.out
        assert run.findings[kind]["count"] >= 1
        assert 1 <= len(run.findings[kind]["evidence"]) <= 20
        assert f"{kind} (" in run.out and run.findings[kind]["evidence"][0] in run.out
    assert "NOT VERIFIED" in run.out.splitlines()[-1]


@pytest.mark.threads
def test_threads_and_one_connection(tmp_path):
    for flags in (["--threads", "3", "--connections", "12"], ["--connections", "1"]):
        with lying_server("honest") as port:
            run = load(tmp_path, port, *CROWD, *flags)
        assert run.status == 0, run.out + run.errors
        assert run.report["users_told"]["asked"] == 600


def test_a_seed_repeats_the_run(tmp_path):
    counts = []
    for _ in range(2):
        with lying_server("honest") as port:
            run = load(tmp_path, port, *CROWD)
        assert run.status == 0, run.out
        counts.append((run.report["requests"]["sent"], run.report["outcomes"]["refused"],
                       run.report["user_prefix"]))
    assert counts[0] == counts[1]
    with lying_server("honest") as port:
        run = load(tmp_path, port, "--users", "20")
    assert run.report["user_prefix"] != counts[0][2]


def test_a_second_run_of_the_same_users_knows_the_first(tmp_path):
    with lying_server("honest") as port:
        first = load(tmp_path, port, *CROWD)
        second = load(tmp_path, port, *CROWD)
    assert first.status == 0 and second.status == 0, second.out
    assert second.report["outcomes"]["issued"] == 0
    assert second.report["users_told"]["held_before"] == 100
    assert second.report["stock"]["holders_before"] == 100


def test_holders_of_before_are_no_strangers_and_others_are(tmp_path):
    with lying_server("honest", "--held", "40") as port:
        run = load(tmp_path, port, *CROWD)
    assert run.status == 0, run.out
    assert run.report["users_told"]["coupon"] == 60
    assert run.report["export"]["foreign"] == 40
    with lying_server("export_stranger") as port:
        run = load(tmp_path, port, *CROWD, "--shared")
    assert "export_stranger" not in run.findings


def test_few_users_are_never_told_sold_out(tmp_path):
    with lying_server("honest") as port:
        run = load(tmp_path, port, "--users", "99")
    assert run.status == 0, run.out
    assert run.report["outcomes"]["issued"] == 99
    assert run.report["stock"]["remaining_after"] == 1


def test_the_export_is_not_compared_without_a_token(tmp_path):
    with lying_server("honest") as port:
        run = load(tmp_path, port, *CROWD, token=None)
        assert run.status == 1 and "export_unreadable" in run.findings  # --admin asked for it
        run = load(tmp_path, port, *CROWD, "--no-verify-export", token=None)
        assert run.status == 0, run.out
        assert "export not compared: switched off" in run.out
        token_file = tmp_path / "admin.token"
        token_file.write_text(LIES["TOKEN"] + "\n")
        run = load(tmp_path, port, *CROWD, token=None)
        assert run.status == 0 and "export equal" in run.out
        other = tmp_path / "other.token"
        other.write_text("wrong\n")
        run = load(tmp_path, port, *CROWD, "--token-file", str(other))
        assert run.status == 1 and "401" in run.out


def test_open_loop_counts_the_time_that_a_request_waited_to_be_sent(tmp_path):
    """A server that stands still for 400 ms holds up 200 of 600 requests at 500 a second. Who counts
    from the moment of sending sees at most 64 late ones: those on a connection at that time."""
    flags = ["--users", "600", "--connections", "8"]
    with lying_server("stall") as port:
        run = load(tmp_path, port, *flags, "--rate", "500")
    assert run.status == 0, run.out
    assert run.report["seconds"] >= 1.1
    assert run.report["latency_us"]["all"]["p90"] > 100_000
    with lying_server("stall") as port:
        closed = load(tmp_path, port, *flags)
    assert closed.report["latency_us"]["all"]["p90"] < 400_000


def test_it_survives_a_server_that_goes_away(tmp_path):
    with lying_server("away") as port:
        run = load(tmp_path, port, *CROWD)
    assert run.status == 0, run.out + run.errors
    assert run.report["errors"]["connect"] > 0 and run.report["errors"]["reset"] > 0
    assert run.report["requests"]["resent"] > 0 and run.report["seconds"] > 0.7


def test_it_gives_up_a_server_that_never_comes_back(tmp_path):
    with lying_server("honest", "--stock", "100000") as port:
        run = Load(tmp_path, port, "--users", "100000", "--timeout", "300ms", "--no-verify-export")
        time.sleep(0.5)
    run.end()
    assert run.status == 1 and run.report["requests"]["answered"] > 0
    answered = run.report["requests"]["answered"]
    assert run.findings["unanswered"]["count"] == 100000 - answered, run.out


def test_an_interrupt_ends_it_with_a_report(tmp_path):
    with lying_server("honest", "--stock", "1000000") as port:
        run = Load(tmp_path, port, "--users", "1000000", "--progress")
        wait_until(lambda: run.process.stderr.readline().startswith("   1 s"), "a progress line")
        run.process.send_signal(signal.SIGINT)
        run.end()
    assert run.status == 1
    assert run.report["interrupted"] and run.report["findings"] == [], run.out
    assert "export equal (interrupted)" in run.out


def test_a_duration_ends_it(tmp_path):
    with lying_server("honest") as port:
        run = load(tmp_path, port, "--users", "100", "--duration", "1s", "--rate", "200")
    assert run.status == 0, run.out
    assert 150 <= run.report["requests"]["sent"] <= 250  # 100 users, again and again
    assert run.report["users_told"]["asked"] == 100


@pytest.mark.parametrize("flags", [
    ["--event", "a b"], ["--user-prefix", "-x"], ["--user-prefix", "x" * 64], ["--url", "ftp://x"],
    ["--url", "http://127.0.0.1:1/path"], ["--users", "0"], ["--rate", "-1"], ["--no-such"], ["word"],
])
def test_wrong_use(tmp_path, flags):
    run = load(tmp_path, 1, *flags)
    assert run.status == 2, run.out + run.errors
    assert run.errors.count("\n") == 1, run.errors


def test_no_server_and_no_event_are_said(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        run = load(tmp_path, unused.getsockname()[1], "--users", "10")
    assert run.status == 1 and run.errors.count("\n") == 1, run.errors
    with lying_server("honest") as port:
        run = load(tmp_path, port, event="unknown")
    assert run.status == 1 and "unknown" in run.errors, run.errors


def test_more_connections_than_open_files_are_fewer_connections(tmp_path):
    with lying_server("honest") as port:
        url = f"http://127.0.0.1:{port}"
        done = subprocess.run(
            ["sh", "-c", 'ulimit -n 128 && exec "$@"', "sh", COUPOND, "load", "--url", url,
             "--event", "E", "--users", "600", "--connections", "1000", "--no-verify-export"],
            capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "using 32" in done.stderr and done.stderr.count("\n") == 1
