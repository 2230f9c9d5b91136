# SPDX-License-Identifier: Apache-2.0
"""The copy in SQLite: whatever happens to the file, its rows are in the end those of the journal, and
no claim ever waits for it (I4, I8).
"""
import os
import re
import shutil
import subprocess
import time

import pytest
from client import EVENTS
from crowd import Crowd, Told, crowd
from harness import ROOT, READY_SECONDS, count, wait_until
from rows import ask, await_copy, check_copy, copy_of, database, path_of

pytestmark = pytest.mark.threads


def users(prefix, n):
    return [f"{prefix}-{i}" for i in range(n)]


def fill(server, event="EV", stock=300, more=100):
    told = Told(event, stock)
    server.create(event, stock)
    crowd(server, told, users(f"{event}-u", stock + more), depth=4)
    return told


def change(server, event, verb, **members):
    response = server.admin("POST", f"{EVENTS}/{event}/{verb}",
                            dict(operator="ops", reason="test", **members))
    assert response.status == 200, response


# ---- in good order ----

def test_rows_are_those_of_the_export(server):
    fill(server)
    fill(server, "few", stock=50, more=0)
    check_copy(server)
    server.claim("key-user", "EV")
    server.create("keys", 1)
    server.claim("ada", "keys", Idempotency_Key="key-1")
    await_copy(server)
    assert ask(path_of(server), "SELECT user_id, claim_id FROM user_coupons "
                                "WHERE event_id = 'keys'") == [("ada", "key-1")]


def test_controls_are_followed(server):
    fill(server, stock=20, more=0)
    holder = server.export("EV")[6]
    change(server, "EV", "return", user_id=holder["user_id"])
    server.claim("second", "EV")
    change(server, "EV", "restock", total_stock=30)
    server.claim("third", "EV")
    change(server, "EV", "pause")
    check_copy(server)
    path = path_of(server)
    assert ask(path, "SELECT state FROM events") == [("paused",)]
    assert ask(path, "SELECT user_id, serial, round, code, operator, reason "
                     "FROM user_coupons_history") == [
        (holder["user_id"], 7, 0, holder["coupon_id"], "ops", "test")]
    assert ask(path, "SELECT user_id, round FROM user_coupons WHERE serial = 7") == [("second", 1)]
    change(server, "EV", "resume")
    change(server, "EV", "close")
    check_copy(server)
    assert ask(path, "SELECT state FROM events") == [("closed",)]


def test_nothing_is_left_behind_by_a_stop(server):
    fill(server)
    server.stop()
    assert ask(path_of(server), "SELECT taken FROM events") == [(300,)]
    server.start()
    check_copy(server)
    assert "copy_catches_up" not in server.stderr()  # it had everything


def test_the_file_is_only_its_owners(server):
    assert path_of(server).stat().st_mode & 0o777 == 0o600


def test_another_place_and_no_place(servers, tmp_path):
    elsewhere = tmp_path / "elsewhere.sqlite"
    server = servers.start("--sqlite", str(elsewhere))
    fill(server)
    check_copy(server, elsewhere)
    server.stop()
    server.flags = ["--sqlite", "none"]
    server.start()
    assert server.health()["copy"] == {"status": "none"} and server.health()["status"] == "ok"
    assert not path_of(server).exists()
    fill(server, "more")
    server.stop()
    server.flags = ["--sqlite", "named.sqlite"]
    server.start()
    check_copy(server, server.data / "named.sqlite")


# ---- a person who asks ----

def queries_of(page):
    return re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


def test_the_queries_of_the_documentation(server):
    """Each gives rows, while the server writes, and both languages have the same."""
    fill(server, "sample_event", stock=20, more=0)
    change(server, "sample_event", "return", user_id=server.export("sample_event")[0]["user_id"])
    await_copy(server)
    queries = queries_of("data.md")
    assert len(queries) == 5 and queries_of("data.ko.md") == queries
    [(user, code)] = ask(path_of(server), "SELECT user_id, code FROM user_coupons LIMIT 1")
    server.create("later", 1000)
    work = Crowd(server, Told("later", 1000), users("later", 1000))
    for query in queries:
        query = query.replace("'ada'", f"'{user}'").replace("'8AERGJ2CBJN9BCE38'", f"'{code}'")
        assert ask(path_of(server), query), query
    work.wait()


def test_a_long_question_holds_nobody_up(server):
    fill(server, "first", stock=10, more=0)
    await_copy(server)
    with database(path_of(server)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM user_coupons").fetchone() == (10,)
        fill(server)
        check_copy(server)
        assert reader.execute("SELECT count(*) FROM user_coupons").fetchone() == (10,)


# ---- at the start ----

def delete(path, _):
    path.unlink()


def overwrite_begin(path, _):
    with path.open("r+b") as file:
        file.write(b"\xa5" * 4096)


def overwrite_middle(path, _):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 3)
        file.write(b"\xa5" * 8192)


def cut(path, _):
    os.truncate(path, path.stat().st_size // 2)


def empty(path, _):
    os.truncate(path, 0)


def take_rows(path, _):
    with database(path) as connection:
        connection.execute("DELETE FROM user_coupons WHERE serial % 3 = 0")


def of_another_journal(path, servers):
    other = servers.start()
    fill(other, "other", stock=500, more=0)
    other.stop()
    shutil.copy(path_of(other), path)


def ahead_of_the_journal(path, _):
    with database(path) as connection:
        connection.execute("UPDATE meta SET applied_seq = applied_seq + 1000")


@pytest.mark.parametrize("harm", [delete, overwrite_begin, overwrite_middle, cut, empty, take_rows,
                                  of_another_journal, ahead_of_the_journal])
def test_the_copy_is_made_again(servers, harm):
    server = servers.start("--threads", "2")
    fill(server, stock=700, more=0)
    await_copy(server)
    server.stop()
    harm(path_of(server), servers)
    server.start()
    fill(server, "after")
    check_copy(server)
    assert "event=copy_catches_up" in server.stderr()
    is_aside = bool(list(server.data.glob("coupons.sqlite.aside-*")))
    assert is_aside == (harm not in (delete, empty)) == ("event=copy_rebuilt" in server.stderr())
    server.stop()
    server.start()
    check_copy(server)
    assert "copy_catches_up" not in server.stderr()


def test_an_older_backup_of_the_copy_is_caught_up(server):
    fill(server)
    server.stop()
    backup = path_of(server).read_bytes()
    server.start()
    fill(server, "later")
    await_copy(server)
    server.stop()
    path_of(server).write_bytes(backup)
    server.start()
    check_copy(server)
    assert "copy_rebuilt" not in server.stderr()


def test_the_database_of_another_program_is_left_alone(servers, tmp_path):
    theirs = tmp_path / "theirs.sqlite"
    with database(theirs) as connection:
        connection.execute("CREATE TABLE friends(name)")
    before = theirs.read_bytes()
    server = servers.start("--sqlite", str(theirs))
    await_stopped(server)
    fill(server)
    assert "another program" in server.stderr()
    server.stop()
    with database(theirs) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("friends",)]
    assert len(theirs.read_bytes()) == len(before)


# ---- while it runs ----

def await_stopped(server):
    wait_until(lambda: copy_of(server)["status"] == "stopped", "the copy stopped", READY_SECONDS)
    assert server.health()["status"] == "degraded"


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_lock_is_waited_for(server, lock):
    server.create("before", 1)
    await_copy(server)
    with database(path_of(server), timeout=5) as other:
        other.execute(f"BEGIN {lock}")
        started = time.monotonic()
        fill(server, stock=1000, more=0)  # claims and an admin write, as if nothing were
        change(server, "EV", "pause")
        wait_until(lambda: copy_of(server)["status"] == "waiting", "waiting")
        health = server.health()
        assert health["status"] == "degraded" and health["copy"]["records_behind"] >= 1000
        assert "locked" in server.stderr()
        time.sleep(max(0, count(2, 10) - (time.monotonic() - started)))
        other.execute("ROLLBACK")
    check_copy(server)
    assert "copy_goes_on" in server.stderr()


def test_locked_at_the_start_and_at_the_end(server):
    fill(server)
    await_copy(server)
    server.stop()
    with database(path_of(server), timeout=5) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        server.flags += ["--drain-timeout", "500ms"]
        server.start()
        fill(server, "later")
        wait_until(lambda: copy_of(server)["status"] == "waiting", "waiting")
        server.stop()  # in its time, and in good order
        assert "copy_left_behind" in server.stderr()
    server.start()
    check_copy(server)


def test_deleted_while_it_runs(server):
    fill(server)
    await_copy(server)
    for name in os.listdir(server.data):
        if name.startswith("coupons.sqlite"):
            os.unlink(server.data / name)
    fill(server, "later")
    check_copy(server)
    assert "deleted or replaced" in server.stderr()


def test_a_conflict_stops_the_copy_and_not_the_server(server):
    server.create("EV", 10)
    await_copy(server)
    with database(path_of(server), timeout=5) as other:
        other.execute("INSERT INTO user_coupons(event_id, serial, round, user_id, gen, claimed_ms, "
                      "log_seq) VALUES ('EV', 1, 0, 'thief', 1, 1, 999999)")
    assert server.claim("ada", "EV").json["serial"] == 1
    await_stopped(server)
    assert re.search(r"error copy event=copy_stopped .*seq \d+ event EV serial 1", server.stderr())
    fill(server, "later")
    assert server.claim("ada", "EV").result == "already_issued"
    server.stop()
    path_of(server).unlink()  # as the documentation says
    server.start()
    check_copy(server)


# ---- the disk ----

def can_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False,
                                                capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own, of 1 MiB."""
    if not can_mount():
        pytest.skip("needs to mount")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "coupond-test", str(folder)],
                   check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill_disk(folder):
    with (folder / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError):
        while True:
            ballast.write(bytes(4096))


@pytest.mark.parametrize("when", ["before it is made", "while it grows"])
def test_a_full_disk_is_waited_for(servers, small_disk, when):
    path = small_disk / "copy.sqlite"
    server = servers.new("--threads", "2", "--sqlite", str(path))
    if when == "before it is made":
        fill_disk(small_disk)
    try:
        server.start()
        if when == "while it grows":
            await_copy(server)
            fill_disk(small_disk)
        fill(server, stock=2000, more=0)
        wait_until(lambda: copy_of(server)["status"] == "waiting", "waiting")
        assert re.search("full|disk I/O", server.stderr())
        time.sleep(0.5)
        (small_disk / "ballast").unlink()
        check_copy(server, path)
    finally:
        server.end()


# ---- kill -9 ----

def test_killed_at_any_moment(servers, dice):
    """Rows and position are one, wherever the process ended."""
    server = servers.start("--threads", "2")
    for n in range(count(12, 100)):
        told = Told(f"event-{n}", 800)
        server.create(told.event, told.stock)
        work = Crowd(server, told, users(f"r{n}", 800), threads=4, depth=dice.choice((1, 8)))
        time.sleep(dice.uniform(0, 0.25))
        server.kill()
        work.wait()
        if dice.random() < 0.2:
            path_of(server).unlink()
        if dice.random() < 0.3:  # and while it catches up
            server.spawn()
            time.sleep(dice.uniform(0, 0.1))
            server.kill()
        server.restart()
        check_copy(server)
        assert "copy_rebuilt" not in server.stderr()
