# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: what is marked reloadable takes effect in the running server, the rest is named, and a
mistake changes nothing.
"""
import re
import signal
import time

import pytest
from client import Closed, claim_bytes, request_bytes
from crowd import Crowd, Told
from harness import option_table, wait_until


class Configured:
    """A server with a file of options, and its reloads."""

    def __init__(self, servers, text, *flags, **options):
        self.path = servers.folder() / "coupond.conf"
        self.path.write_text(text)
        self.server = servers.start("--config", str(self.path), "--threads", "1", *flags, **options)

    def send(self, text):
        """The new lines of the log, after a hang-up with `text` in the file."""
        before = len(self.server.stderr())
        if text is not None:
            self.path.write_text(text)
        self.server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: re.search(r"event=(reloaded|reload_refused) .*\n", self.server.stderr()[before:]),
                   "word of the reload")
        return self.server.stderr()[before:].splitlines()

    def reload(self, text):
        lines = self.send(text)
        assert "event=reloaded" in lines[-1], lines
        return lines


@pytest.fixture
def configured(servers):
    return lambda *words, **options: Configured(servers, *words, **options)


OTHER = {"log-level": ("info", "debug"), "connections-max": ("0", "100"),
         "header-timeout": ("10s", "3s"), "idle-timeout": ("75s", "2m"), "pipeline-max": ("64", "8"),
         "answer-timeout": ("2500ms", "1s"), "drain-timeout": ("5s", "0")}


def test_all_that_is_reloadable_and_nothing_else(configured):
    assert set(OTHER) <= {row["name"] for row in option_table("serve") if row["reloadable"]}
    one = configured("")
    lines = one.reload("".join(f"{name} = {new}\n" for name, (_, new) in OTHER.items()))
    for name, (old, new) in OTHER.items():
        wanted = f'event=option_changed option={name} from="{old}" to="{new}"'
        assert len([line for line in lines if wanted in line]) == 1, (name, lines)
    assert lines[-1].endswith(f"event=reloaded changed={len(OTHER)} need_restart=0")
    assert len(lines) == len(OTHER) + 1
    # The same once more is no change, however it is written; and without lines the defaults are back.
    assert "changed=0" in one.reload("".join(f"# x\n{name}={new}\n" for name, (_, new) in
                                             {**OTHER, "idle-timeout": ("", "120")}.items()))[-1]
    assert f"changed={len(OTHER)}" in one.reload("")[-1]


def test_what_needs_a_restart_is_named(configured):
    one = configured("backlog = 100\n")
    text = "backlog = 200\nbody-max = 1KiB\nidle-timeout = 60\n"
    for changed in (1, 0):
        lines = one.reload(text)
        assert any('event=option_needs_restart option=backlog running="100" configured="200"' in line
                   for line in lines)
        assert any('option=body-max running="4KiB" configured="1KiB"' in line for line in lines)
        assert lines[-1].endswith(f"event=reloaded changed={changed} need_restart=2")
    with one.server.client() as client:
        assert client.request("POST", "/api/v1/coupons/issue", b"x" * 2000).status == 400
    assert one.reload("backlog = 100\nidle-timeout = 60\n")[-1].endswith("changed=0 need_restart=0")


@pytest.mark.parametrize("bad, told", [
    ("idle-timeout = soon", "idle-timeout: soon is not"), ("idel-timeout = 5", "did you mean"),
    ("threads = 100", "threads"), ("body-max =", "body-max: '' is not"), ("x", "key = value"),
])
def test_a_mistake_changes_nothing(configured, bad, told):
    one = configured("header-timeout = 9s\n")
    lines = one.send(f"header-timeout = 8s\n{bad}\nlog-level = debug\n")
    assert len(lines) == 1 and "error serve event=reload_refused" in lines[0] and told in lines[0]
    assert lines[0].count('"') == 2
    assert one.server.get("/livez").status == 200
    lines = one.reload("header-timeout = 7s\n")
    assert any('option=header-timeout from="9s" to="7s"' in line for line in lines)
    assert not any("log-level" in line for line in lines)


def test_a_file_that_is_gone_changes_nothing(configured):
    one = configured("header-timeout = 9s\n")
    one.path.unlink()
    assert "coupond.conf: No such file" in one.send(None)[0]
    assert 'from="9s"' in one.reload("header-timeout = 8s\n")[0]


def test_flags_and_environment_still_win(configured):
    one = configured("", "--header-timeout", "9s", environment={"COUPOND_IDLE_TIMEOUT": "50s"})
    lines = one.reload("header-timeout = 8s\nidle-timeout = 60s\nthreads = 3\n")
    assert len(lines) == 1 and "changed=0 need_restart=0" in lines[0]


def test_the_log_level_takes_effect(configured):
    one = configured("log-level = error\n")
    one.path.write_text("log-level = info\n")
    one.server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in one.server.stderr(), "the first line")
    lines = one.send("log-level = info\nbacklog = 7\n")
    assert len(lines) == 2
    one.path.write_text("log-level = error\n")
    one.server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: 'to="error"' in one.server.stderr(), "the last line")
    one.server.stop()
    assert "event=stopped" not in one.server.stderr()


def test_timeouts_take_effect(configured):
    one = configured("idle-timeout = 1h\nheader-timeout = 2m\n")
    with one.server.client() as silent, one.server.client() as partial:
        assert silent.get("/livez").status == 200
        one.reload("idle-timeout = 1s\nheader-timeout = 1s\n")
        partial.send(b"GET /livez HTTP/1.1\r\n")
        assert silent.get("/livez").status == 200
        start = time.monotonic()
        silent.expect_end()
        assert partial.response().status == 408
        assert time.monotonic() - start < 10


def test_the_answer_timeout_takes_effect_also_for_who_waits(configured, disk):
    one = configured("answer-timeout = 60s\n", **disk.preload)
    one.server.create("EV", 10)
    disk.hold()
    with one.server.client() as before, one.server.client() as after:
        before.send(claim_bytes("ada", "EV"))
        disk.await_held()
        one.reload("answer-timeout = 200ms\n")
        after.send(claim_bytes("bob", "EV"))
        assert before.response().status == after.response().status == 202
    disk.release()


def test_the_pipeline_takes_effect(configured, disk):
    """With a deep one, 30 claims of one connection take all 16 places; with a short one, 2."""
    one = configured("", "--inflight-max", "16", "--answer-timeout", "30s", **disk.preload)
    one.server.create("EV", 100)
    for depth, status in ((64, 503), (2, 200)):
        one.reload(f"pipeline-max = {depth}\n")
        disk.hold()
        with one.server.client() as greedy, one.server.client() as other:
            greedy.send(b"".join(claim_bytes(f"u{depth}-{n}", "EV") for n in range(30)))
            disk.await_held()
            time.sleep(0.2)
            other.send(claim_bytes(f"other-{depth}", "EV"))
            time.sleep(0.2)
            disk.release()
            assert other.response().status == status
            assert all(greedy.response().status in (200, 503) for _ in range(30))


def test_the_number_of_connections_takes_effect(configured):
    one = configured("")
    clients = [one.server.client() for _ in range(5)]
    assert all(client.get("/livez").status == 200 for client in clients)
    one.reload("connections-max = 5\n")
    with one.server.client() as more:
        try:
            assert more.get("/livez").status == 503
        except (Closed, OSError):
            pass
    assert all(client.get("/livez").status == 200 for client in clients)
    one.reload("connections-max = 6\n")
    with one.server.client() as more:
        assert more.get("/livez").status == 200
    for client in clients:
        client.close()


def test_the_drain_timeout_takes_effect(configured, disk):
    one = configured("drain-timeout = 10m\n", "--answer-timeout", "30s", **disk.preload)
    one.server.create("EV", 10)
    one.reload("drain-timeout = 500ms\n")
    disk.hold()
    with one.server.client() as client:
        client.send(claim_bytes("ada", "EV") + request_bytes("GET", "/livez"))
        disk.await_held()
        one.server.terminate()
        assert client.response().status == 202
    disk.release()
    assert one.server.wait(10) == 0


@pytest.mark.threads
def test_reloads_under_load(servers):
    path = servers.folder() / "coupond.conf"
    path.write_text("")
    server = servers.start("--config", str(path), "--threads", "2")
    told = Told("EV", 1000)
    server.create("EV", 1000)
    work = Crowd(server, told, [f"u{n}" for n in range(3000)], threads=8)
    for n in range(40):
        path.write_text(f"idle-timeout = {10 + n}\nheader-timeout = {5 + n}\npipeline-max = {1 + n}\n"
                        f"answer-timeout = {20 + n}s\ndrain-timeout = {n}\n"
                        f"connections-max = {1000 + n}\n{'nonsense' if n % 5 == 4 else ''}\n")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    work.wait()
    told.check_against(server)
    assert "event=reloaded changed=6" in server.stderr()
    assert "event=reload_refused" in server.stderr()
    server.stop()
