# SPDX-License-Identifier: Apache-2.0
"""A database that is full, silent, or takes sides in a deadlock: the consumer says so, keeps its batch,
writes nothing twice, and goes on by itself.
"""
import os
import subprocess

import pytest
from consume import check_rows, place_of
from harness import READY_SECONDS, run, wait_until
from mariadb import MariaDB
from records import Story

pytestmark = [pytest.mark.mariadb, pytest.mark.kafka]

FULL_SECONDS = 150  # MariaDB itself looks for room once a minute


def grow(topic, story, wins, prefix):
    before = len(story.records)
    story.wins(wins, prefix=prefix)
    topic.produce(*story.records[before:])
    return before


def verified(topic, database):
    flags = ["--mode", "cluster", "--recheck-after", "0", "--data-dir", str(topic.folder),
             *topic.flags[:4], *database.flags("coupond_reader")]
    assert "everything agrees" in run("verify", *flags).stdout


# ---- full ----

class SmallDisk:
    """A filesystem of its own, with a file in it that takes all the room there is."""

    def __init__(self, folder, megabytes=160):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "coupond-test",
                        str(folder)], check=True, capture_output=True)
        self.ballast = folder / "ballast"

    def fill(self):
        with self.ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass
        room = os.statvfs(self.folder)
        assert room.f_bavail * room.f_frsize < 1 << 16

    def make_room(self):
        self.ballast.unlink()

    def end(self):
        subprocess.run(["umount", str(self.folder)], check=True)


def can_mount(folder):
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "coupond-test", str(folder)],
                          capture_output=True, check=False)
    return done.returncode == 0 and \
        subprocess.run(["umount", str(folder)], check=False).returncode == 0


@pytest.mark.parametrize("lines", [["skip_log_bin"], []], ids=["tables", "binlog"])
def test_disk_full(topic, consumers, tmp_path, lines):
    """No room for rows, or for the binary log, in the middle of the work; then there is some."""
    if not can_mount(tmp_path / "try"):
        pytest.skip("only who may mount has a small filesystem to fill: run it as root")
    disk = SmallDisk(tmp_path / "disk")
    database = MariaDB(disk.folder / "server", lines=lines)
    try:
        database.install().start()
        database.prepare()
        consumer = consumers(database, "--verify-every", "0").start()
        story = Story("EV", 9000).wins(50)
        topic.produce(*story.records)
        consumer.await_all()
        disk.fill()
        grow(topic, story, 6000, "full")
        consumer.await_state("waiting", FULL_SECONDS)
        wait_until(lambda: consumer.metric('coupond_consume_retries_total{class="database"}') >= 2,
                   "tries", FULL_SECONDS)
        assert place_of(database) < topic.count
        assert "event=consume_waits for=database" in consumer.stderr()
        assert consumer.page("/readyz")[0] == 503 and consumer.page("/livez")[0] == 200
        disk.make_room()
        consumer.await_all(FULL_SECONDS)
        assert "event=consume_goes_on" in consumer.stderr()
        consumer.await_state("ok")
        check_rows(database, story)
        verified(topic, database)
        consumer.stop()
    finally:
        for one in [database]:
            one.end()
        disk.end()


# ---- silent ----

def test_silent(topic, consumers, database):
    """Longer than anybody waits for an answer, in the middle of the work."""
    consumer = consumers(database, "--verify-every", "0").start()
    story = Story("EV", 400).wins(20)
    topic.produce(*story.records)
    consumer.await_all()
    database.freeze()
    try:
        grow(topic, story, 100, "silent")
        consumer.await_state("waiting")
        assert consumer.page("/livez")[0] == 200
    finally:
        database.thaw()
    consumer.await_all()
    check_rows(database, story)
    verified(topic, database)


# ---- locks ----

def test_deadlock(topic, consumers, database):
    """1213: the consumer has its place and wants the event; another has the event and wants the place.
    The database ends the one that has done less, which is the consumer."""
    database.run("CREATE TABLE weight (n INT PRIMARY KEY)")
    consumer = consumers(database, "--verify-every", "0").start()
    story = Story("EV", 400).wins(20)
    topic.produce(*story.records)
    consumer.await_all()
    before = int(database.variable("Innodb_deadlocks"))
    holder = database.session("BEGIN; INSERT INTO weight SELECT seq FROM seq_1_to_20000; "
                              "SELECT * FROM events FOR UPDATE;")
    try:
        grow(topic, story, 50, "dead")
        # (innodb_trx would go on saying the same to whoever asks more often than every 100 ms.)
        wait_until(lambda: database.variable("Innodb_row_lock_current_waits") == "1",
                   "the consumer's wait", READY_SECONDS)
        holder.stdin.write("UPDATE log_offsets SET owner = owner; SELECT 'through';\n")
        holder.stdin.flush()
        wait_until(lambda: int(database.variable("Innodb_deadlocks")) == before + 1, "a deadlock",
                   READY_SECONDS)
        consumer.await_state("waiting")
        assert "Deadlock found" in consumer.stderr()
    finally:
        holder.kill()
        holder.wait()
    consumer.await_all()
    check_rows(database, story)
    verified(topic, database)
