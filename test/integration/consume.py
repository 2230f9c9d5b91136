# SPDX-License-Identifier: Apache-2.0
"""`coupond consume` between a real topic and a real database.

    Topic      a topic of one test: what is in it, and its dead letters
    Consumer   a `coupond consume`: start, kill, stop, freeze; its pages
    rows_of    what the database has of an event

    check_rows every row is what the records decided, by tables alone
"""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import uuid

from harness import COUPOND, READY_SECONDS, address_of, run, wait_until

DELIMITER = "<=-coupond-test-=>"


class Topic:
    """`brokers`: host:port,… of a cluster with `replicas` nodes."""

    def __init__(self, brokers, folder, replicas=3, in_sync=2):
        self.brokers, self.folder = brokers, pathlib.Path(folder)
        self.replicas, self.in_sync = replicas, in_sync
        self.name = f"t-{uuid.uuid4().hex[:12]}"
        self.count = 0

    @property
    def flags(self):
        return ["--kafka", self.brokers, "--kafka-topic", self.name,
                "--kafka-replicas", str(self.replicas), "--kafka-min-isr", str(self.in_sync)]

    def kcat(self, *words, **options):
        return subprocess.run(["kcat", "-b", self.brokers, "-q", *words], check=True,
                              timeout=READY_SECONDS, capture_output=True, **options)

    def produce(self, *records):
        """Values as they are, in this order."""
        if not records:
            return self
        path = self.folder / f"produce-{self.name}"
        path.write_bytes(DELIMITER.encode().join(records))
        self.kcat("-P", "-t", self.name, "-p", "0", "-X", "acks=all",
                  "-X", "enable.idempotence=true", "-l", "-D", DELIMITER, str(path))
        self.count += len(records)
        return self

    def produce_empty(self):
        """A key without a value: what a compacted topic would take for a deletion."""
        self.kcat("-P", "-t", self.name, "-p", "0", "-K", ":", "-Z", input=b"key:\n")
        self.count += 1
        return self

    def values(self):
        """All that is in it."""
        done = self.kcat("-C", "-t", self.name, "-p", "0", "-o", "beginning", "-e", "-f", "%s" + DELIMITER)
        return done.stdout.split(DELIMITER.encode())[:-1]

    def dead_letters(self):
        """(headers, value) of each, in order."""
        done = self.kcat("-C", "-t", f"{self.name}.dlt", "-p", "0", "-o", "beginning", "-e",
                         "-f", "%h\n%S\n%s" + DELIMITER)
        letters = []
        for one in done.stdout.split(DELIMITER.encode())[:-1]:
            headers, size, value = one.split(b"\n", 2)
            pairs = dict(pair.split("=", 1) for pair in re.split(r",(?=\w+=)", headers.decode()))
            letters.append((pairs, value if size != b"-1" else None))
        return letters


class Consumer:
    """One on a folder of its own."""

    def __init__(self, folder, topic, database, *flags, servers=None, environment=()):
        self.folder, self.topic, self.database = pathlib.Path(folder), topic, database
        (self.folder / "keys").mkdir(parents=True, exist_ok=True)
        self.command = [COUPOND, "consume", "--listen", "127.0.0.1:0", "--data-dir",
                        str(self.folder / "keys"), *topic.flags,
                        *database.flags(servers=servers), *map(str, flags)]
        self.environment = dict(os.environ, **dict(environment))
        self.process, self.address, self.runs = None, None, 0

    # -- life --

    def spawn(self, **environment):
        self.runs += 1
        with (self.folder / f"stderr-{self.runs}").open("wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=dict(self.environment, **environment))
        return self

    def start(self, **environment):
        self.spawn(**environment)
        wait_until(self._is_up, "the ready line", READY_SECONDS)
        return self

    def _is_up(self):
        match = re.search(r"^ready listen=(\S+) ", self.stderr(), re.M)
        assert match or self.process.poll() is None, self.stderr()
        if match:
            self.address = address_of(match[1])
        return match

    def stderr(self):
        return (self.folder / f"stderr-{self.runs}").read_text(errors="replace")

    def all_stderr(self):
        return "".join(f"--- run {n}\n{(self.folder / f'stderr-{n}').read_text(errors='replace')}"
                       for n in range(1, self.runs + 1))

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def wait(self, seconds=READY_SECONDS):
        return self.process.wait(seconds)

    def stop(self, status=0):
        self.process.terminate()
        assert self.wait() == status, self.stderr()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # -- pages --

    def page(self, path, method="GET"):
        connection = http.client.HTTPConnection(*self.address, timeout=READY_SECONDS)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def health(self):
        return json.loads(self.page("/health")[1])

    def state(self):
        return self.health()["consumer"]["state"]

    def metric(self, sample):
        return float(re.search(rf"^{re.escape(sample)} (\S+)$", self.page("/metrics")[1], re.M)[1])

    def await_state(self, state, seconds=READY_SECONDS):
        wait_until(lambda: self.state() == state, f"state {state}", seconds)

    def await_all(self, seconds=READY_SECONDS):
        """Until everything that the topic has is in the database."""
        wait_until(lambda: place_of(self.database) == self.topic.count,
                   f"offset {self.topic.count} in the database", seconds)


def place_of(database):
    rows = database.ask("SELECT next_off FROM log_offsets")
    return int(rows[0][0]) if rows else 0


def rows_of(database, event):
    return sorted(database.ask("SELECT serial, user_id FROM user_coupons "
                               f"WHERE event_id = '{event}'"))


def check_rows(database, *stories):
    for story in stories:
        assert rows_of(database, story.event) == story.rows()
        [[total, taken, coupons]] = database.ask(
            "SELECT total, taken, (SELECT COUNT(*) FROM coupons c WHERE c.event_id = e.event_id) "
            f"FROM events e WHERE event_id = '{story.event}'")
        assert int(total) == int(coupons) == story.stock
        assert int(taken) == len(story.holders)


def dlt(topic, database, *words, status=0):
    return run("dlt", *words, *database.flags(), *topic.flags, status=status)
