# SPDX-License-Identifier: Apache-2.0
"""The disk fails, fills up, lies damaged, or belongs to somebody else. Nobody who was told yes ever
hears no, and what cannot be kept is not promised.
"""
import errno
import json
import os
import re
import socket
import subprocess
import time

import pytest
from client import EVENTS, problem
from crowd import Crowd, Told, crowd
from harness import count, run, wait_until
from slow_disk import SHORT, TORN

STOCK = 60
FAIL_STOP = 70


def users(prefix, n):
    return [f"{prefix}-{i}" for i in range(n)]


def fail_and_recover(server, disk, told, stock):
    """A crowd meets the fault; the process ends with 70 or did not notice; all is kept to."""
    crowd(server, told, users("first", stock), threads=6)
    wait_until(lambda: server.process.poll() is not None or told.unheard == 0, "an end")
    if server.process.poll() is not None:
        assert server.wait() == FAIL_STOP, server.stderr()
        assert "event=commit_failed" in server.stderr()
    else:
        server.kill()
    disk.heal()
    server.restart()
    told.check_against(server)
    told.sell_the_rest(server, "second")
    told.check_against(server)


def fault_test(servers, disk, kind, at, **fault):
    server = servers.start("--threads", "2", **disk.preload)
    told = Told("EV", STOCK)
    server.create("EV", STOCK)
    disk.settle(kind, 0.05)
    disk.fail(kind, at, **fault)
    fail_and_recover(server, disk, told, STOCK)
    return server, told


@pytest.mark.parametrize("at", range(1, count(9, 40)))
def test_a_sync_that_fails_ends_the_process(servers, disk, at):
    """All later syncs succeed: whoever tried again would believe that nothing happened."""
    server, told = fault_test(servers, disk, "fdatasync", at, times=1)
    assert server.runs == 2 and "commit_failed" in (server.folder / "stderr-1").read_text()
    assert told.doubts + told.unheard > 0


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("torn", [0, TORN], ids=["whole", "torn"])
@pytest.mark.parametrize("at", range(1, count(7, 40)))
def test_a_write_that_fails_ends_the_process(servers, disk, at, torn, code):
    server, _ = fault_test(servers, disk, "pwrite", at, times=1, torn=torn, code=code)
    assert "commit_failed" in (server.folder / "stderr-1").read_text()


def test_a_torn_write_is_cut_with_a_word(servers, disk):
    server = servers.start(**disk.preload)
    server.create("EV", STOCK)
    disk.settle("pwrite", 0.05)
    disk.hold()
    told = Told("EV", STOCK)
    crowds = [Crowd(server, told, users("lone", 1), threads=1)]
    disk.await_held()
    crowds.append(Crowd(server, told, users("many", 20), threads=20))
    time.sleep(0.3)
    disk.fail("pwrite", 2, torn=TORN)  # behind the mark, all of the others at once
    disk.release()
    for each in crowds:
        each.wait()
    assert server.wait() == FAIL_STOP
    checked = run("log", "check", server.data)
    assert re.search(r"torn bytes +[1-9]", checked.stdout)
    disk.heal()
    server.restart()
    assert re.search(r"event=torn_tail_cut file=\S+journal-0{15}1\.log offset=\d+ bytes=\d+",
                     server.stderr())
    told.check_against(server)
    assert server.status_of("EV")["total_participants"] >= 1
    assert re.search(r"torn bytes +0\b", run("log", "check", server.data).stdout)


def test_short_writes_are_written_on(servers, disk):
    server = servers.start(**disk.preload)
    told = Told("EV", 200)
    server.create("EV", 200)
    disk.fail("pwrite", torn=SHORT)
    crowd(server, told, users("u", 200))
    assert len(told.coupons) == 200
    disk.heal()
    server.kill()
    server.restart()
    told.check_against(server)


@pytest.mark.parametrize("kind", ["fsync", "rename", "fallocate", "fdatasync", "pwrite"])
@pytest.mark.parametrize("at", range(1, count(4, 12)))
def test_faults_while_segments_are_made_and_begun(servers, disk, kind, at):
    """Small segments: a new one every few hundred wins. Making one may fail; beginning one may not."""
    server = servers.start("--threads", "2", "--journal-segment", "64KiB", **disk.preload)
    stock = 1500
    told = Told("EV", stock)
    server.create("EV", stock)
    crowd(server, told, users("before", 300), threads=8, depth=32)
    disk.settle(kind, 0.05)
    disk.fail(kind, at, times=1)
    fail_and_recover(server, disk, told, stock)


def test_who_waits_when_the_disk_fails_is_not_told_no(servers, disk):
    """Winners on their way hear 202, 503 or nothing; losers of another event their final no."""
    server = servers.start("--threads", "1", "--answer-timeout", "30s", **disk.preload)
    server.create("EV", STOCK)
    server.create("gone", 1)
    server.claim("ada", "gone")
    told = Told("EV", STOCK)
    disk.hold()
    waiting = Crowd(server, told, users("w", 20), threads=20)
    disk.await_held()
    time.sleep(0.2)
    assert server.claim("bob", "gone").json["final"] is True
    disk.fail("fdatasync")
    disk.release()
    waiting.wait()
    assert server.wait() == FAIL_STOP
    assert not told.coupons and not told.losers and told.doubts + told.unheard == 20
    disk.heal()
    server.restart()
    told.sell_the_rest(server, "rest")


# ---- a full disk ----

def can_mount():
    if os.geteuid() != 0:
        return False
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return probe.returncode == 0


class FullTmpfs:
    """A small file system of its own, filled to the last byte."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "coupond-test",
                        str(folder)], check=True)

    def fill(self):
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            with pytest.raises(OSError):
                while True:
                    ballast.write(bytes(4096))

    def clear(self):
        (self.folder / "ballast").unlink()

    def end(self):
        subprocess.run(["umount", str(self.folder)], check=True)


class FullShim:
    """The same for whoever may not mount: no file grows any more."""

    def __init__(self, disk):
        self.disk = disk

    def fill(self):
        self.disk.fail("fallocate", code=errno.ENOSPC)

    def clear(self):
        self.disk.heal()

    def end(self):
        pass


@pytest.fixture(params=["shim"] + (["tmpfs"] if can_mount() else []))
def full_disk(request, servers, disk):
    """(server, disk): not started yet, with small segments; fill() and clear() the disk."""
    server = servers.new("--threads", "2", "--journal-segment", "64KiB", **disk.preload)
    full = FullTmpfs(server.data) if request.param == "tmpfs" else FullShim(disk)
    yield server, full
    server.end()
    full.end()


def test_a_full_disk_loses_nothing(full_disk):
    server, full = full_disk
    server.start()
    stock = 3000
    told, gone = Told("EV", stock), Told("gone", 5)
    server.create("EV", stock)
    server.create("gone", 5)
    crowd(server, gone, users("g", 10))
    time.sleep(0.3)  # the next segment is ready
    full.fill()

    refused = None
    with server.client() as client:
        for n in range(stock):
            response = client.claim(f"u-{n}", "EV")
            if response.status == 503:
                refused = response
                break
            told.hear(f"u-{n}", response)
    problem(refused, 503, "busy")
    assert len(told.coupons) > 200, "what was reserved ahead is there to be used"
    assert server.coupon_of(f"u-{len(told.coupons)}", "EV") is None, "nothing was reserved for it"
    goes_on_while_full(server, told, gone)

    server.kill()
    server.restart()
    goes_on_while_full(server, told, gone)

    full.clear()
    wait_until(lambda: server.claim("first-after", "EV").status == 200, "room again", 15)
    assert server.health()["journal"]["status"] == "ok"
    told.hear("first-after", server.claim("first-after", "EV"))
    told.sell_the_rest(server, "rest")
    told.check_against(server)
    server.create("again", 1)
    server.stop()


def goes_on_while_full(server, told, gone):
    """Who has a coupon hears so, who came too late hears that; no new promise is made."""
    wait_until(lambda: server.health()["journal"]["status"] == "low_space", "word of it")
    assert server.health()["status"] == "degraded"
    told.check_against(server)
    gone.check_against(server)
    assert server.claim("late", "gone").json["final"] is True
    response = server.admin("POST", EVENTS, {"event_id": "never", "total_stock": 1})
    problem(response, 507, "no_space")
    assert "event=segment_not_prepared" in server.stderr()


def test_a_start_without_any_room(servers, disk):
    """Nothing can be promised yet: it says so and ends; with room it starts as if nothing was."""
    server = servers.new("--journal-segment", "64KiB", **disk.preload)
    disk.fail("fallocate", code=errno.ENOSPC)
    server.spawn()
    assert server.wait() == 1
    assert "No space left on device" in server.stderr() and "journal.next" in server.stderr()
    disk.heal()
    server.start()
    server.create("EV", 1)


# ---- damage ----

@pytest.fixture
def stopped(servers):
    """A server that has issued 10 coupons, one commit each, and was stopped."""
    server = servers.start()
    server.create("EV", STOCK)
    for n in range(10):
        assert server.claim(f"user-{n}", "EV").result == "issued"
    server.stop()
    return server


def journal_of(server):
    segments = sorted(server.data.glob("journal-*.log"))
    assert len(segments) == 1
    return segments[0]


def with_a_bit_flipped(data, needle):
    """`data`, changed at the only place where `needle` is."""
    assert data.count(needle) == 1
    at = data.index(needle)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.mark.parametrize("needle", [b"user-0", b"user-5", b"user-9"])
def test_damage_in_the_middle_is_refused(stopped, needle):
    path = journal_of(stopped)
    good = path.read_bytes()
    damaged = with_a_bit_flipped(good, needle)
    path.write_bytes(damaged)
    stopped.spawn()
    assert stopped.wait() == FAIL_STOP
    told = stopped.stderr()
    assert str(path) in told and "coupond log check" in told and re.search(r"offset \d+", told)
    assert path.read_bytes() == damaged, "nothing was changed"

    checked = run("log", "check", stopped.data, status=1)
    assert str(path) in checked.stderr and "damaged" in checked.stderr
    dumped = run("log", "dump", stopped.data, status=1)
    records = [json.loads(line) for line in dumped.stdout.splitlines()]
    assert [record["user_id"] for record in records if record["type"] == "win"] == [
        f"user-{n}" for n in range(int(needle[-1:]))]
    assert str(path) in dumped.stderr

    path.write_bytes(good)
    stopped.restart()
    assert stopped.status_of("EV")["total_participants"] == 10


def test_rubbish_behind_the_end_is_cut(stopped):
    path = journal_of(stopped)
    data = bytearray(path.read_bytes())
    end = len(bytes(data).rstrip(b"\0")) + 64
    data[end:end + 100] = os.urandom(100)
    path.write_bytes(data)
    stopped.restart()
    assert "event=torn_tail_cut" in stopped.stderr()
    assert stopped.claim("user-9", "EV").result == "already_issued"
    assert stopped.claim("new", "EV").json["serial"] == 11


@pytest.mark.parametrize("end", ["beginning", "middle"])
def test_a_journal_cut_short_is_refused_or_goes_on(stopped, end):
    """A file that lost its end: what is proven to have been there is missed."""
    path = journal_of(stopped)
    at = path.read_bytes().index(b"user-5")
    os.truncate(path, 20 if end == "beginning" else at)
    stopped.spawn()
    if end == "beginning":
        assert stopped.wait() in (1, FAIL_STOP) and str(path) in stopped.stderr()
    else:  # nothing behind it proves anything: as after a torn write
        wait_until(lambda: "\nready" in "\n" + stopped.stderr(), "ready")
        assert "segment_is_short" in stopped.stderr()
        stopped.kill()
        stopped.restart()
        assert stopped.status_of("EV")["total_participants"] == 5


def test_a_segment_that_is_missing_is_missed(servers):
    server = servers.start("--journal-segment", "64KiB")
    told = Told("EV", 3000)
    server.create("EV", 3000)
    crowd(server, told, users("u", 2600), depth=32)
    server.stop()
    segments = sorted(server.data.glob("journal-*.log"))
    assert len(segments) >= 3
    aside = server.folder / "aside"
    segments[1].rename(aside)
    server.spawn()
    assert server.wait() == FAIL_STOP and "missing" in server.stderr()
    assert run("log", "check", server.data, status=1).stderr
    aside.rename(segments[1])
    server.restart()
    told.check_against(server)


# ---- somebody else ----

def test_two_processes_on_one_folder(servers):
    first = servers.start()
    first.create("EV", 1)
    second = servers.new("--data-dir", str(first.data))
    second.spawn()
    assert second.wait() == 1
    assert str(first.data) in second.stderr() and str(first.process.pid) in second.stderr()
    assert first.claim("ada", "EV").result == "issued"
    first.kill()
    assert servers.start("--data-dir", str(first.data)).process.poll() is None


@pytest.mark.parametrize("flag", ["--listen", "--admin-listen"])
def test_a_port_that_is_taken(servers, flag):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = "127.0.0.1:%d" % other.getsockname()[1]
        server = servers.new(flag, address).spawn()
        assert server.wait() == 1
        assert address in server.stderr() and "another program" in server.stderr()


def test_the_port_of_another_coupond_is_taken(servers):
    """Although its sockets let others share their port."""
    first = servers.start()
    address = "%s:%d" % first.ready.public
    second = servers.new("--listen", address).spawn()
    assert second.wait() == 1
    assert address in second.stderr() and "another program" in second.stderr()


@pytest.mark.parametrize("make, words", [
    (lambda path: path.write_text("a file"), "data"),
    (lambda path: path.mkdir(mode=0o700) or (path / "lock").mkdir(), "lock"),
], ids=["a file", "a lock that is a folder"])
def test_a_folder_that_is_none(servers, make, words):
    server = servers.new()
    make(server.data)
    server.spawn()
    assert server.wait() == 1
    assert words in server.stderr() and str(server.data) in server.stderr()


# ---- coupond log ----

def test_check_and_dump_tell_what_is_there(stopped):
    stopped.restart()
    stopped.create("other", 3, starts_at="2031-01-01T00:00:00Z", operator="grace", reason="plan")
    stopped.claim("keyed", "EV", Idempotency_Key="my-key")
    exported = stopped.export("EV")
    stopped.stop()

    summary = dict(re.findall(r"^(\S+(?: \S+)?) {2,}(\d+)", run("log", "check", stopped.data).stdout,
                              re.M))
    assert int(summary["records"]) == 13 and int(summary["segments"]) == 1
    assert int(summary["torn bytes"]) == 0

    records = [json.loads(line) for line in run("log", "dump", stopped.data).stdout.splitlines()]
    assert len(records) == 13
    assert [record["seq"] for record in records] == sorted(record["seq"] for record in records)
    opened = [record for record in records if record["type"] == "open"]
    assert [record["event_id"] for record in opened] == ["EV", "other"]
    assert opened[1]["starts_at"] == "2031-01-01T00:00:00.000Z" and opened[1]["ends_at"] is None
    assert (opened[1]["operator"], opened[1]["reason"]) == ("grace", "plan")
    wins = [record for record in records if record["type"] == "win"]
    assert [(win["serial"], win["user_id"], win["at"]) for win in wins] == [
        (row["serial"], row["user_id"], row["issued_at"]) for row in exported]
    assert wins[-1]["claim_id"] == "my-key" and "claim_id" not in wins[0]


def test_check_and_dump_while_the_server_writes(servers):
    server = servers.start("--journal-segment", "64KiB")
    stock = 4000
    told = Told("EV", stock)
    server.create("EV", stock)
    work = Crowd(server, told, users("u", stock), depth=4)
    for _ in range(20):
        assert "records" in run("log", "check", server.data).stdout
        lines = run("log", "dump", server.data).stdout.splitlines()
        serials = [json.loads(line).get("serial") for line in lines[1:]]
        assert serials == list(range(1, len(serials) + 1))
    work.wait()
    told.sell_the_rest(server, "rest")


def test_log_says_what_is_wrong(tmp_path):
    assert str(tmp_path) in run("log", "check", tmp_path, status=1).stderr
    assert run("log", "dump", tmp_path / "nowhere", status=1).stderr
    for words in ([], ["check"], ["mend", str(tmp_path)], ["check", "a", "b"]):
        assert "usage" in run("log", *words, status=2).stderr
