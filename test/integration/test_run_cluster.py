# SPDX-License-Identifier: Apache-2.0
"""dev/cluster, which ./run cluster starts: the whole pipeline as processes, up, used, down, up again."""
import pathlib
import re
import signal
import socket
import subprocess

import pytest
from client import Client, status_path, user_path
from harness import COUPOND, READY_SECONDS, ROOT, run, wait_until
from kafka_cluster import LIB, fetch_jars
from redis_cluster import free_ports

pytestmark = [pytest.mark.redis, pytest.mark.kafka]

USERS = 3000


class Running:
    """A dev/cluster on a folder."""

    def __init__(self, folder, port):
        self.folder, self.port, self.said = folder, port, folder.parent / "said"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [str(ROOT / "dev" / "cluster"), "--data-dir", str(folder), "--port", str(port),
                 "--coupond", COUPOND, "--kafka-lib", str(LIB)],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)

    def text(self):
        return self.said.read_text(errors="replace")

    def await_ready(self):
        def is_ready():
            assert self.process.poll() is None, self.text()
            return "Ctrl-C ends" in self.text()
        wait_until(is_ready, "the whole cluster", 3 * READY_SECONDS)
        return self

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(3 * READY_SECONDS) == 0, self.text()
        assert self.left() == []

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(3 * READY_SECONDS)

    def left(self):
        """Processes that work in the folder."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.folder).encode() in path.read_bytes():
                    found.append(path.read_bytes())
            except OSError:
                pass
        return found

    def client(self):
        return Client(("127.0.0.1", self.port))

    def type(self, word):
        """The line of the README that begins with this word of coupond."""
        line = re.search(rf"(?m)^    build/coupond ({word} .*data-cluster/.*)$",
                         (ROOT / "README.md").read_text("utf-8"))[1]
        return run(*line.replace("data-cluster", str(self.folder)).replace("1000000", str(USERS)).split(),
                   status=None)


@pytest.fixture
def start(tmp_path):
    fetch_jars()
    port = free_ports(1)[0]
    made = []

    def start_one():
        made.append(Running(tmp_path / "data", port))
        return made[-1]

    yield start_one
    for one in made:
        one.end()


def test_up_down_and_up_again(start):
    cluster = start().await_ready()
    with cluster.client() as client:
        first = client.claim("ada", "sample_event")
        assert first.status == 200 and first.result == "issued", first
    cluster.stop()
    cluster = start().await_ready()
    with cluster.client() as client:
        response = client.get(user_path("ada", "sample_event"))
        assert response.json["coupon"]["coupon_id"] == first.json["coupon_id"], response
        assert client.get(status_path("sample_event")).json["remaining_stock"] == 999
    done = cluster.type("load")
    assert done.returncode == 0 and "verified: 999 issued to 999 users" in done.stdout, done
    wait_until(lambda: cluster.type("verify").returncode == 0, "rows that are what the log says")
    done = cluster.type("verify")
    assert done.returncode == 0 and "not checked" not in done.stdout, done
    cluster.stop()


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([str(ROOT / "dev" / "cluster"), "--data-dir", str(tmp_path / "data"),
                               "--port", str(port), "--coupond", COUPOND, "--kafka-lib", str(LIB)],
                              capture_output=True, text=True, check=False, timeout=READY_SECONDS)
    assert done.returncode == 1 and f"port {port} of nginx" in done.stderr, done
