# SPDX-License-Identifier: Apache-2.0
"""coupond under a service manager: sockets that outlive it, so that a restart refuses nobody and
loses no answer; what it tells the manager; its units.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from client import Client, Closed, claim_bytes
from crowd import Told
from harness import COUPOND, ROOT, count, run, wait_until

pytestmark = pytest.mark.threads


# ---- passing sockets on ----

def listening():
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", 0))
    door.listen(1024)
    return door


def pass_sockets(server, doors):
    """From now on `server` is started as a service manager does: with {name: socket}."""
    def become():
        kept = [os.dup(door.fileno()) for door in doors.values()]
        moved = [os.dup(fd) if fd < 3 + len(kept) else fd for fd in kept]
        for n, fd in enumerate(moved):
            os.dup2(fd, 3 + n)
        os.execve(COUPOND, server.command(),
                  dict(server.environment, LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)),
                       LISTEN_FDNAMES=":".join(doors)))
    server.before_exec = become


@pytest.fixture
def doors():
    made = {"admin": listening(), "public": listening()}
    yield made
    for door in made.values():
        door.close()


@pytest.fixture
def activated(servers, doors):
    server = servers.new("--threads", "2")
    pass_sockets(server, doors)
    return server.start()


def test_passed_sockets_are_served(activated, doors):
    assert activated.ready.public == doors["public"].getsockname()
    assert activated.ready.admin == doors["admin"].getsockname()
    assert len(re.findall("event=socket_passed", activated.stderr())) == 2
    activated.create("EV", 1)
    assert activated.claim("ada", "EV").result == "issued"
    assert activated.admin("GET", "/admin/v1/events").status == 200


def test_one_of_the_two_may_be_passed(servers, doors):
    server = servers.new("--threads", "1")
    pass_sockets(server, {"public": doors["public"]})
    server.start()
    assert server.ready.public == doors["public"].getsockname()
    assert server.ready.admin != doors["admin"].getsockname()
    server.create("EV", 1)


@pytest.mark.parametrize("name, words", [("coupond.socket", "FileDescriptorName=public or admin"),
                                         ("", 'a socket named ""')])
def test_a_socket_of_another_name_is_refused(servers, doors, name, words):
    server = servers.new()
    pass_sockets(server, {name: doors["public"]})
    server.spawn()
    assert server.wait() == 2
    assert words in server.stderr()


def test_what_does_not_listen_is_refused(servers):
    server = servers.new()
    with socket.socket() as other:
        pass_sockets(server, {"public": other})
        server.spawn()
        assert server.wait() == 2
    assert 'socket "public": what was passed is no listening TCP socket' in server.stderr()


def test_who_waits_while_nobody_serves_is_answered_by_the_next(activated):
    activated.create("EV", 1)
    activated.stop()
    with Client(activated.ready.public) as client:
        thread = threading.Timer(0.2, activated.restart)
        thread.start()
        response = client.claim("ada", "EV")
        thread.join()
    assert response.result == "issued"


def test_who_waits_in_the_queue_at_the_end_is_answered(activated):
    """By the old process as far as it still takes them, by the next one else."""
    activated.create("EV", 300)
    activated.process.send_signal(signal.SIGSTOP)
    clients = [Client(activated.ready.public) for _ in range(300)]
    for n, client in enumerate(clients):
        client.send(claim_bytes(f"u{n}", "EV"))
    activated.terminate()
    activated.process.send_signal(signal.SIGCONT)
    assert activated.wait() == 0
    activated.restart()
    told = [client.response().json["serial"] for client in clients]
    assert sorted(told) == list(range(1, 301))
    for client in clients:
        client.close()


# ---- restarts under load ----

class Visitors:
    """Threads of people who come, claim and go, or who keep their connection, without an end. Whoever
    is refused, reset or left without an answer is remembered."""

    def __init__(self, address, told, threads, keeps):
        self.address, self.told, self.keeps = address, told, keeps
        self.stopping, self.answers, self.lost = False, 0, []
        self.threads = [threading.Thread(target=self._visit, args=(n,)) for n in range(threads)]
        for thread in self.threads:
            thread.start()

    def _visit(self, number):
        client, n, is_new = None, 0, True
        try:
            while not self.stopping:
                n += 1
                user = f"v{number}-{n}"
                if client is None:
                    is_new = True
                    client = Client(self.address, seconds=60)
                response = client.claim(user, self.told.event)
                is_new = False
                self.told.hear(user, response)
                with self.told.lock:
                    self.answers += 1
                if not self.keeps or response.header("Connection") == "close":
                    client.close()
                    client = None
        except (Closed, OSError) as error:
            with self.told.lock:
                self.lost.append(f"{user}: {'at the door' if is_new else 'inside'}: {error!r}")
        finally:
            if client is not None:
                client.close()

    def end(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive()


@pytest.mark.parametrize("keeps", [False, True], ids=["new connections", "kept connections"])
def test_restarts_under_load(activated, keeps):
    """No connection refused, no answer lost, and what was told holds."""
    stock = 20000
    told = Told("EV", stock)
    activated.create("EV", stock)
    visitors = Visitors(activated.ready.public, told, 8, keeps)
    try:
        for _ in range(count(5, 40)):
            before = visitors.answers
            wait_until(lambda: visitors.answers > before + 100 or visitors.lost, "answers")
            activated.stop()
            activated.restart()
    finally:
        visitors.end()
    assert not visitors.lost, visitors.lost[:5]
    assert told.doubts == 0 and visitors.answers >= 500
    told.check_against(activated)


def test_without_sockets_who_is_busy_still_gets_every_answer(servers):
    """A drain tells who is connected that this is the last answer, and closes only who is silent. Who
    comes anew is refused, or reset: the kernel had let them in when the socket was closed."""
    server = servers.start("--threads", "2")
    told = Told("EV", 20000)
    server.create("EV", 20000)
    visitors = Visitors(server.ready.public, told, 8, True)
    wait_until(lambda: visitors.answers > 200, "answers")
    server.stop()
    visitors.end()
    assert all("at the door: Connection" in lost for lost in visitors.lost), visitors.lost
    server.restart()
    told.check_against(server)


def test_who_asks_a_little_later_is_told_that_it_was_the_last_time(server):
    server.create("EV", 1)
    with server.client() as client:
        assert client.get("/livez").status == 200
        server.terminate()
        wait_until(lambda: "event=draining" in server.stderr(), "word of it")
        time.sleep(0.06)  # the drain has taken its first steps
        response = client.claim("ada", "EV")
        assert response.result == "issued" and response.header("Connection") == "close"
        client.expect_end()
    assert server.wait() == 0


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="needs systemd")
def test_by_systemd_itself(servers):
    """The activator of systemd opens the sockets and starts the server for the first who comes."""
    server = servers.new("--threads", "2")
    ports = []
    for door in (listening(), listening()):
        ports.append(door.getsockname()[1])
        door.close()
    command = server.command
    server.command = lambda: ["systemd-socket-activate", f"--listen=127.0.0.1:{ports[0]}",
                              f"--listen=127.0.0.1:{ports[1]}", "--fdname=public:admin",
                              *command()]
    server.spawn()
    wait_until(lambda: "Listening on" in server.stderr(), "the activator")

    def first():
        try:
            with Client(("127.0.0.1", ports[0])) as client:
                return client.get("/livez")
        except ConnectionRefusedError:
            return None
    assert wait_until(first, "the first answer").status == 200
    wait_until(server._is_ready, "the ready line")
    assert server.ready == (("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]))
    server.create("EV", 1)
    assert server.claim("ada", "EV").result == "issued"
    server.stop()


# ---- what the manager is told ----

class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.address, self.heard = address, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def hear(self):
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def has_heard(self, line):
        return any(line in message.split("\n") for message in self.hear())


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    made = Manager(str(tmp_path / "notify") if request.param == "path"
                   else f"@coupond-test-{os.getpid()}-{time.monotonic_ns()}")
    yield made
    made.socket.close()


def test_the_manager_is_told(servers, manager):
    server = servers.new("--threads", "1", environment={"NOTIFY_SOCKET": manager.address})
    server.start()
    wait_until(lambda: manager.has_heard("READY=1"), "READY=1")
    host, port = server.ready.public
    assert any(f"STATUS=Serving {host}:{port}" in message for message in manager.heard)
    assert not manager.has_heard("STOPPING=1") and not manager.has_heard("WATCHDOG=1")
    server.stop()
    assert manager.has_heard("STOPPING=1")


def test_not_ready_before_it_is(servers, manager):
    """What cannot start never says READY=1."""
    server = servers.new("--listen", "127.0.0.1:x", environment={"NOTIFY_SOCKET": manager.address})
    server.spawn()
    assert server.wait() == 2
    assert manager.hear() == []


def test_the_watchdog_is_fed(servers, manager):
    """Though nothing happens in the server, and its threads would sleep longer."""
    server = servers.new("--threads", "1", environment={"NOTIFY_SOCKET": manager.address,
                                                        "WATCHDOG_USEC": "200000"})
    server.start()
    wait_until(lambda: manager.hear().count("WATCHDOG=1") >= 10, "ten beats")
    assert "stands_still" not in server.stderr()
    server.process.send_signal(signal.SIGHUP)
    beats = manager.hear().count("WATCHDOG=1")
    wait_until(lambda: manager.hear().count("WATCHDOG=1") > beats, "a beat after a signal")
    server.stop()


def test_another_process_is_watched(servers, manager):
    server = servers.new("--threads", "1", environment={
        "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    server.start()
    time.sleep(0.5)
    assert not manager.has_heard("WATCHDOG=1")


# ---- what is installed ----

@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """What `meson install` lays out."""
    build, root = tmp_path_factory.mktemp("build") / "b", tmp_path_factory.mktemp("root")
    options = ["-Dtests=false", "-Doptimization=0", "-Dsystemd_unit_dir=/units"]
    subprocess.run(["meson", "setup", build, ROOT, "--prefix=/opt/coupond", *options], check=True,
                   capture_output=True)
    install = ["meson", "install", "-C", build, "--destdir", root]
    subprocess.run(install, check=True, capture_output=True)
    return root, install


def test_install_lays_out_a_prefix(prefix):
    root, install = prefix
    names = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert names >= {
        "opt/coupond/bin/coupond", "opt/coupond/etc/coupond/coupond.conf",
        "opt/coupond/lib/sysusers.d/coupond.conf", "opt/coupond/lib/tmpfiles.d/coupond.conf",
        "opt/coupond/share/doc/coupond/operations.md", "units/coupond.service",
        "units/coupond.socket", "units/coupond-admin.socket"}
    unit = (root / "units/coupond.service").read_text()
    assert ("ExecStart=/opt/coupond/bin/coupond serve --config /opt/coupond/etc/coupond/coupond.conf"
            in unit)
    assert not re.search(r"@\w+@", unit)
    config = root / "opt/coupond/etc/coupond/coupond.conf"
    config.write_text("# mine\n")
    subprocess.run(install, check=True, capture_output=True)
    assert config.read_text() == "# mine\n"


def test_the_installed_configuration_is_read(prefix):
    root, _ = prefix
    config = ROOT / "deploy/systemd/coupond.conf"
    done = run("backup", "/nonexistent/copy", "--config", config, status=1)
    assert "/nonexistent/copy" in done.stderr
    assert "data-dir = /var/lib/coupond" in config.read_text()
    assert pathlib.Path(root / "opt/coupond/bin/coupond").stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_the_unit_gives_little_away(prefix):
    root, _ = prefix
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                           "--threshold=20", root / "units/coupond.service"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    score = float(re.search(r"Overall exposure level for coupond.service: ([\d.]+)",
                            done.stdout)[1])
    assert score < 2.0
