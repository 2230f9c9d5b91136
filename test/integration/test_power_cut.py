# SPDX-License-Identifier: Apache-2.0
"""Power cuts: all that a real server does to its disk is recorded, and the disks that a power cut may
have left at any moment of it are rebuilt and recovered: by the journal's own code, many; by a real
server with its keys and its copy, some. Whoever was told PASS before the cut has it (I3, I4).
"""
import pathlib
import subprocess

import pytest
from client import EVENTS
from crowd import Told, crowd
from harness import COUPOND, ROOT, Servers, count, wait_until
from rows import check_copy

TOOL = pathlib.Path(COUPOND).parent / "test" / "sim" / "power_cut"
STOCK = count(700, 2100)


class Recording:
    """A server whose disk is recorded, and what clients were told at which length of the trace."""

    def __init__(self, servers, folder):
        self.trace, self.lines = folder / "trace", []
        library = folder / "recording_disk.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(library),
                        str(ROOT / "test" / "fake" / "recording_disk.c"), "-ldl"], check=True)
        self.trace.write_bytes(b"")
        self.server = servers.new("--threads", "2", "--journal-segment", "64KiB",
                                  "--sqlite", "coupons.sqlite", preload=library)
        self.server.environment.update(RECORD_FOLDER=str(self.server.data),
                                       RECORD_TRACE=str(self.trace))

    def note(self, *words):
        self.lines.append(" ".join(map(str, (self.trace.stat().st_size, *words))))

    def told_file(self):
        path = self.trace.with_name("told")
        path.write_text("\n".join(self.lines) + "\n")
        return path


class TimedTold(Told):
    """Knows when it was told, by the length of the trace."""

    def __init__(self, recording, event, stock):
        super().__init__(event, stock)
        self.recording, self.noted = recording, set()

    def hear(self, user, response):
        super().hear(user, response)
        with self.lock:
            if user in self.coupons and user not in self.noted:
                self.noted.add(user)
                self.recording.note("pass", self.event, user, self.coupons[user][0])


def insist(recording, target, **members):
    """An admin write, asked again while the next segment is on its way."""
    def is_done():
        response = recording.server.admin("POST", target, members)
        assert response.status in (200, 201, 503), response
        return response.status != 503

    wait_until(is_done, target)


def create(recording, event, stock):
    insist(recording, EVENTS, event_id=event, total_stock=stock)
    recording.note("open", event)
    return TimedTold(recording, event, stock)


def change(recording, told, verb, **members):
    insist(recording, f"{EVENTS}/{told.event}/{verb}", operator="ops", reason="test", **members)


def give_back(recording, told, user):
    recording.note("gone", told.event, user)
    change(recording, told, "return", user_id=user)


@pytest.fixture(scope="module", params=range(count(1, 8)))
def recording(tmp_path_factory):
    """Three lives: a stop, a kill -9, a stop; several segments; controls and a return."""
    servers = Servers(tmp_path_factory, "recorded")
    recording = Recording(servers, tmp_path_factory.mktemp("recording"))
    server = recording.server.start()
    told = create(recording, "EV", STOCK)
    crowd(server, told, [f"a-{n}" for n in range(STOCK // 2)], threads=4, depth=4)
    give_back(recording, told, "a-7")
    server.stop()
    server.restart()
    crowd(server, told, [f"b-{n}" for n in range(STOCK // 2)], threads=count(1, 2))
    change(recording, told, "restock", total_stock=STOCK + 300)
    server.kill()
    server.restart()
    small = create(recording, "small", 40)
    crowd(server, told, [f"c-{n}" for n in range(300)], threads=2, depth=16)
    crowd(server, small, [f"d-{n}" for n in range(60)], threads=4)
    wait_until(lambda: server.health()["copy"]["records_behind"] == 0, "the copy")
    server.stop()
    assert len(list(server.data.glob("journal-*.log"))) >= 2
    assert len(told.coupons) > STOCK and len(small.coupons) > 20
    yield recording
    servers.end()


def tool(*words):
    assert TOOL.exists(), f"{TOOL} is not built: ninja test/sim/power_cut"
    return subprocess.run([str(TOOL), *map(str, words)], capture_output=True, text=True, check=False)


def test_every_image_is_recovered(recording, dice):
    done = tool(recording.trace, recording.told_file(), "--images", count(4000, 250000),
                "--seed", dice.randrange(1 << 30))
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    recovered, total = [int(word) for word in done.stdout.split() if word.isdigit()][:2]
    assert recovered > min(2000, total / 2)


def test_a_lie_is_noticed(recording, tmp_path):
    """A promise that was never kept, and one that came too early."""
    for lie in (["0 pass EV nobody 1"], [f"{recording.trace.stat().st_size // 2} open nothing"],
                ["0 " + line.split(" ", 1)[1] for line in recording.lines]):
        path = tmp_path / "lie"
        path.write_text("\n".join(recording.lines + lie) + "\n")
        done = tool(recording.trace, path, "--images", 3000)
        assert done.returncode == 1 and "image" in done.stdout, (lie[:1], done.stdout, done.stderr)


@pytest.mark.parametrize("n", range(count(6, 120)))
def test_a_server_on_an_image(servers, recording, dice, n):
    """With its keys, so that every code is the same, and its copy, so that every row is."""
    total = int(tool(recording.trace, "-", "--count").stdout)
    server = servers.new("--threads", "1", "--journal-segment", "64KiB")
    server.data.mkdir(mode=0o700)
    done = tool(recording.trace, "-", "--write", dice.randrange(total), server.data)
    assert done.returncode == 0, done.stderr
    for path in server.data.iterdir():
        path.chmod(0o600)
    before = int(done.stdout)
    server.start()
    promised = [line.split() for line in recording.lines if int(line.split()[0]) <= before]
    listed = [event["event_id"] for event in server.admin("GET", EVENTS).json["events"]]
    assert set(listed) >= {words[2] for words in promised if words[1] == "open"}
    gone = {words[3] for words in map(str.split, recording.lines) if words[1] == "gone"}
    holders = {event: {row["user_id"]: row["serial"] for row in server.export(event)}
               for event in listed}
    for words in promised:
        if words[1] == "pass" and words[3] not in gone:
            assert holders[words[2]][words[3]] == int(words[4])
    check_copy(server)
    server.stop()
