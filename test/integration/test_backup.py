# SPDX-License-Identifier: Apache-2.0
"""`coupond backup` and what comes of it on another machine: everybody who was told of a coupon before
the backup began has the same one there.
"""
import os
import shutil
import subprocess
import time

import pytest
from crowd import Crowd, Told, crowd
from harness import COUPOND, count, run, sanitizer_of, wait_until

pytestmark = pytest.mark.threads


def users(prefix, n):
    return [f"{prefix}-{i}" for i in range(n)]


def back_up(server, name, *words, status=0):
    folder = server.folder / name
    done = run("backup", folder, "--data-dir", server.data, *words, status=status)
    return folder, done.stdout


def numbers(text):
    return dict(line.split(None, 1) for line in text.replace("last seq", "last_seq").splitlines())


def restored(servers, backup, *flags, **options):
    """Another machine: another folder, other ports, another size of segments."""
    server = servers.new("--threads", "1", "--journal-segment", "256KiB", *flags, **options)
    shutil.copytree(backup, server.data)
    return server


def told_by(server, stock=500, claims=400):
    told = Told("EV", stock)
    server.create("EV", stock)
    crowd(server, told, users("u", claims))
    assert len(told.coupons) == claims
    return told


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_everybody_has_the_same_coupon_elsewhere(servers, running):
    server = servers.start("--threads", "2", "--journal-segment", "64KiB")
    told = told_by(server)
    token = server.token
    if not running:
        server.stop()
    backup, text = back_up(server, "copy", "--with-token")
    found = numbers(text)
    assert (found["records"], found["events"], found["token"]) == ("401", "1", "yes")
    assert run("log", "check", backup).stdout.count("torn bytes  0")
    other = restored(servers, backup).start()
    assert other.token == token
    told.check_against(other)
    told.sell_the_rest(other, "rest")
    other.kill()
    other.restart()
    told.check_against(other)


def test_without_its_token_another_is_made(servers):
    server = servers.start("--threads", "1")
    told = told_by(server, 10, 5)
    backup, text = back_up(server, "copy")
    assert numbers(text)["token"] == "no" and not (backup / "admin.token").exists()
    other = restored(servers, backup).start()
    assert other.token != server.token
    told.check_against(other)


@pytest.mark.parametrize("seconds", [-86400 * 365, 86400 * 365], ids=["last year", "next year"])
def test_on_a_machine_whose_clock_is_wrong(servers, other_time, seconds):
    """The clock of the journal never runs backwards, and codes know no time (I9)."""
    server = servers.start("--threads", "1")
    told = told_by(server)
    backup, _ = back_up(server, "copy", "--with-token")
    other = restored(servers, backup, preload=other_time,
                     environment={"OTHER_TIME": str(seconds)}).start()
    year = time.gmtime(time.time() + seconds).tm_year
    assert str(year) in other.get("/livez").header("Date"), "the clock was not moved"
    told.check_against(other)
    told.sell_the_rest(other, "rest")
    issued = [row["issued_at"] for row in other.export("EV")]
    assert issued == sorted(issued)


def test_an_older_backup_is_an_older_server(servers):
    """What came after the backup is not in it; what was before is, unchanged."""
    server = servers.start("--threads", "1")
    told = told_by(server, 500, 100)
    backup, _ = back_up(server, "copy", "--with-token")
    later = Told("EV", 500)
    crowd(server, later, users("later", 50))
    other = restored(servers, backup).start()
    assert len(other.export("EV")) == 100
    told.check_against(other)


def test_under_load(servers):
    """While claims go on, each backup has all that was told before it began, whole."""
    server = servers.start("--threads", "2", "--journal-segment", "64KiB")
    stock = count(6000, 60000)
    told = Told("EV", stock)
    server.create("EV", stock)
    work = Crowd(server, told, users("u", stock), threads=4, depth=4)
    made = []
    while len(told.coupons) < stock and len(made) < count(8, 60):
        with told.lock:
            before = Told("EV", stock)
            before.coupons = dict(told.coupons)
        made.append((before, *back_up(server, f"copy-{len(made)}", "--with-token")))
    work.wait()
    told.check()
    records = [int(numbers(text)["records"]) for _, _, text in made]
    assert records == sorted(records) and len(set(records)) > 2, records
    for before, backup, text in (made[0], made[len(made) // 2], made[-1]):
        other = restored(servers, backup).start()
        held = {row["user_id"]: (row["serial"], row["coupon_id"]) for row in other.export("EV")}
        assert len(held) == int(numbers(text)["records"]) - 1
        assert before.coupons.items() <= held.items() <= told.coupons.items()
        assert "torn" not in other.stderr() and "short" not in other.stderr()
        other.kill()


def test_it_holds_what_it_must_and_others_cannot_read_it(servers):
    server = servers.start("--threads", "1")
    server.create("EV", 1)
    config = server.folder / "own.conf"
    config.write_text(f"data-dir = {server.data}\nlog-level = warn\n")
    backup = server.folder / "copy"
    run("backup", f"{backup}/", "--config", config, "--with-token")
    assert {path.name for path in backup.iterdir()} == {
        "journal-0000000000000001.log", "code-1.key", "admin.token", "coupond.conf"}
    assert backup.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in backup.iterdir())
    assert (backup / "coupond.conf").read_text() == config.read_text()
    assert [path.name for path in server.folder.glob("copy*")] == ["copy"]


def test_the_keys_of_tokens_are_in_it(servers):
    """Named by the configuration or by the option; a file that is missing is no backup."""
    server = servers.start("--threads", "1")
    keys = server.folder / "provider.json"
    keys.write_text('{"keys": []}\n')
    keys.chmod(0o600)
    config = server.folder / "own.conf"
    config.write_text(f"data-dir = {server.data}\nauth = jwt\njwt-keys = {keys}\n")
    by_option = server.folder / "copy2"
    run("backup", server.folder / "copy", "--config", config)
    run("backup", by_option, "--data-dir", server.data, "--jwt-keys", keys)
    for backup in (server.folder / "copy", by_option):
        assert (backup / "jwt-keys").read_bytes() == keys.read_bytes()
        assert (backup / "jwt-keys").stat().st_mode & 0o777 == 0o600
    keys.unlink()
    done = run("backup", server.folder / "copy3", "--config", config, status=1)
    assert str(keys) in done.stderr
    assert not list(server.folder.glob("copy3*"))


def test_a_folder_that_is_there_is_refused(servers):
    server = servers.start("--threads", "1")
    (server.folder / "copy").mkdir()
    done = run("backup", server.folder / "copy", "--data-dir", server.data, status=1)
    assert "exists" in done.stderr and not list((server.folder / "copy").iterdir())
    (server.folder / "other.tmp").mkdir()
    done = run("backup", server.folder / "other", "--data-dir", server.data, status=1)
    assert "remove it" in done.stderr and not (server.folder / "other").exists()


def test_damage_is_no_backup(servers):
    server = servers.start("--threads", "1")
    told_by(server, 100, 50)
    server.stop()
    journal = server.data / "journal-0000000000000001.log"
    with journal.open("r+b") as file:
        file.seek(2048)
        file.write(b"damage")
    done = run("backup", server.folder / "copy", "--data-dir", server.data, status=1)
    assert "damaged" in done.stderr
    assert not list(server.folder.glob("copy*"))


@pytest.mark.parametrize("kind", ["pwrite", "fdatasync", "fsync", "rename"])
def test_a_disk_that_fails_leaves_nothing(servers, disk, kind):
    server = servers.start("--threads", "1")
    server.create("EV", 1)
    preload = ":".join(sanitizer_of(COUPOND) + [str(disk.shim)])
    environment = dict(os.environ, LD_PRELOAD=preload, SLOW_DISK=str(disk.path))
    tried = 0
    while True:
        tried += 1
        disk.set(kind, calls=0, fail_from=tried, fail_count=1, error=28)
        done = run("backup", server.folder / "copy", "--data-dir", server.data, status=None,
                   environment=environment)
        if done.returncode == 0:
            break
        assert done.returncode == 1 and "No space left" in done.stderr
        assert not list(server.folder.glob("copy*")) or kind == "fsync"
        shutil.rmtree(server.folder / "copy", ignore_errors=True)
    assert tried > 1, "nothing failed"
    wait_until(lambda: (server.folder / "copy").is_dir(), "the backup")
