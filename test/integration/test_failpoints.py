# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every named place of the code, under load: who was told yes keeps the same coupon, no
serial is given twice, export and copy agree, and the folder lives on (I1 to I4).

The program has to be built with -Dfailpoints=true. The places are found in the sources, so each new
one is tested by being there.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess

import pytest
from crowd import Crowd, Told, crowd
from harness import COUPOND, ROOT, count, run, wait_until
from lives import has_ended, live, settle
from rows import check_copy, path_of

pytestmark = pytest.mark.failpoints

STOCK = 1500  # of which a life issues two thirds: more than a segment of the journal
SEEN_AT = 60  # a place is met this often at most before it kills


# test_consume_failpoints.py, test_cluster.py and test_rebuild.py have them.
ELSEWHERE = ("consume_", "schema_", "cluster_", "rebuild_")


def names_in_sources():
    texts = (path.read_text() for folder in ("src", "lib") for path in (ROOT / folder).rglob("*.c"))
    names = sorted(set(re.findall(r'FAILPOINT\("(\w+)"\)', "\n".join(texts))))
    return [name for name in names if not name.startswith(ELSEWHERE)]


NAMES = names_in_sources()
OF_BACKUP = [name for name in NAMES if name.startswith("backup_")]
OF_RESET = ["copy_aside", "copy_aside_half"]
IN_FIRST_LIFE = re.compile("secret_|copy_before_tables|copy_tables_made")
RARE = re.compile("start_|stop_|secret_|copy_file|copy_before_tables|copy_tables|recover_|control_")
OF_SERVER = [name for name in NAMES if name not in OF_BACKUP + OF_RESET]


def test_the_program_has_them():
    binary = open(COUPOND, "rb").read()
    assert len(NAMES) >= 30
    assert not [name for name in NAMES if name.encode() not in binary]


@contextlib.contextmanager
def armed(server, name, at):
    """The lives begun meanwhile die when they are at `name` for the `at`-th time."""
    before = dict(server.environment)
    server.environment["COUPOND_FAILPOINT"] = f"{name}:{at}"
    yield
    server.environment = before


def new_server(servers):
    return servers.new("--threads", "2", "--journal-segment", "64KiB")


def kill_at(server, told, name, at):
    """Lives, each with an event of its own, until one has ended at `name`."""
    while True:
        told.append(Told(f"event-{len(told)}", STOCK))
        with armed(server, name, at):
            if live(server, told[-1]) != 0:
                return
        assert at > 1, f"{name} was never reached"
        at = (at + 1) // 3


@pytest.mark.parametrize("name", OF_SERVER)
def test_killed_there_and_lives_on(servers, dice, name, crash_runs):
    """Several lives of one folder, the first one cut off at `name`, the others somewhere."""
    server, told = new_server(servers), []
    if not IN_FIRST_LIFE.match(name):
        server.start().kill()
    others = [other for other in OF_SERVER if not IN_FIRST_LIFE.match(other)]
    for place in [name] + dice.sample(others, count(0, 4)):
        is_rare = RARE.match(place) or dice.random() < 0.3
        kill_at(server, told, place, 1 if is_rare else dice.randrange(2, SEEN_AT))
        crash_runs.add()
        settle(server, told)
        server.kill()
    server.restart()
    for each in told:
        each.sell_the_rest(server, "rest")
        each.check_against(server)
    check_copy(server)
    server.stop()


@pytest.mark.parametrize("name", OF_RESET)
def test_killed_while_the_copy_is_put_aside(servers, name, crash_runs):
    server = new_server(servers).start()
    told = Told("EV", 100)
    server.create("EV", 100)
    crowd(server, told, [f"u-{i}" for i in range(100)])
    check_copy(server)
    server.stop()  # from here on the file does not depend on its write-ahead log
    with path_of(server).open("r+b") as file:
        file.write(b"\xa5" * 4096)
    with armed(server, name, 1):
        server.spawn()
        wait_until(lambda: has_ended(server), "the end")
    crash_runs.add()
    settle(server, [told])


@pytest.mark.parametrize("name", OF_BACKUP)
def test_a_backup_that_is_killed(servers, name, crash_runs):
    """The server does not notice, what was begun is not called a backup, and the next one is one."""
    server = new_server(servers).start()
    told = Told("EV", STOCK)
    server.create("EV", STOCK)
    work = Crowd(server, told, [f"u-{i}" for i in range(STOCK)], threads=4, depth=4)
    copy = server.folder / "copy"
    done = subprocess.run([COUPOND, "backup", str(copy), "--data-dir", str(server.data)],
                          env=dict(os.environ, COUPOND_FAILPOINT=name), check=False)
    assert done.returncode == -signal.SIGKILL
    crash_runs.add()
    work.wait()
    told.check_against(server)
    assert copy.exists() == (name == "backup_renamed")
    shutil.rmtree(server.folder / "copy.tmp", ignore_errors=True)
    shutil.rmtree(copy, ignore_errors=True)
    run("backup", copy, "--data-dir", server.data)
    other = servers.new("--threads", "1", folder=servers.folder())
    shutil.copytree(copy, other.data)
    other.start()
    told.check_against(other)
    check_copy(other)


@pytest.mark.parametrize("n", range(count(4, 100)))
def test_killed_at_any_moment(servers, dice, n, crash_runs):
    """No place has a name here: kill -9 from outside, several lives of one folder."""
    server = new_server(servers).start()
    told = Told("EV", STOCK)
    server.create("EV", STOCK)
    for life in range(3):
        work = Crowd(server, told, [f"{life}-{i}" for i in range(STOCK // 2)],
                     threads=dice.choice((1, 8)), depth=dice.choice((1, 16)))
        wait_until(lambda: len(told.coupons) >= dice.randrange(STOCK // 4) * (life + 1) // 2,
                   "some coupons")
        server.kill()
        work.wait()
        crash_runs.add()
        settle(server, [told])
    told.sell_the_rest(server, "rest")
    told.check_against(server)
    check_copy(server)
