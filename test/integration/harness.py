# SPDX-License-Identifier: Apache-2.0
"""The real server, started on free ports in a folder of its own.

    Server    a `coupond serve`: start, stop, kill, restart on the same folder; its usual requests
    Servers   makes them, and ends them
    run       any other command of the program

    option_table  the options, as the program has them

Everything is started, awaited and ended here, by its process id.
"""
import collections
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from client import ANSWER_SECONDS, EVENTS, Client, status_path, user_path

ROOT = pathlib.Path(__file__).resolve().parents[2]
COUPOND = str(pathlib.Path(os.environ.get("COUPOND", ROOT / "build" / "coupond")).resolve())
IS_LONG = os.environ.get("COUPOND_TEST_LONG") == "1"
READY_SECONDS = 60


def count(usual, full):
    """How often: `full` when COUPOND_TEST_LONG=1."""
    return full if IS_LONG else usual


def wait_until(condition, what, seconds=ANSWER_SECONDS):
    """Polls until `condition()` is true and returns what it returned."""
    until = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.01)


# ---- the server ----

Ready = collections.namedtuple("Ready", "public admin")


def address_of(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def sanitizer_of(program):
    """The run-time library that has to be preloaded before any other, or nothing."""
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return re.findall(r"=> (\S*lib[at]san\.so\S*)", libraries)


# What servers in cluster mode are given, when the tests run in that mode: --redis and so on.
CLUSTER = {}


def cluster_flags(folder):
    """Each folder has a topic of its own, as it would have a journal of its own."""
    if not CLUSTER:
        return {}
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return {"--mode": "cluster", "--kafka-topic": f"t-{name}", **CLUSTER}


class Server:
    """A `coupond serve` on a folder. `flags` are its options, `before_exec` runs in the child. With
    `tokens` (of tokens.py) it asks for them, and its clients send them."""

    def __init__(self, folder, *flags, environment=(), preload=None, before_exec=None, tokens=None):
        self.sign = None
        if tokens is not None:
            flags = (*flags, *tokens.flags)
            self.sign = tokens.sign
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.flags, self.before_exec = list(flags), before_exec
        self.environment = dict(os.environ, **dict(environment))
        self.has_shim = preload is not None
        if preload is not None:
            self.environment["LD_PRELOAD"] = ":".join(sanitizer_of(COUPOND) + [str(preload)])
        self.process, self.ready, self.runs, self.log = None, None, 0, None

    # -- life --

    def command(self):
        usual = {"--listen": "127.0.0.1:0", "--admin-listen": "127.0.0.1:0",
                 "--data-dir": str(self.data), "--journal-segment": "1MiB"}
        if not CLUSTER and "--config" not in self.flags:  # a loaded machine's disk may stand still for seconds
            usual["--answer-timeout"] = "15s"
        if self.has_shim:  # the disk that fails on demand is to be the journal's alone
            usual["--sqlite"] = "none"
        usual.update(cluster_flags(self.folder))
        given = {flag.split("=")[0] for flag in self.flags}
        defaults = [word for flag, value in usual.items() if flag not in given
                    for word in (flag, value)]
        return [COUPOND, "serve", *defaults, *self.flags]

    def spawn(self):
        """Starts the process without waiting for it."""
        self.runs += 1
        self.ready = None
        self.log = self.folder / f"stderr-{self.runs}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment,
                                            preexec_fn=self.before_exec)
        return self

    def start(self):
        self.spawn()
        wait_until(self._is_ready, "the ready line", READY_SECONDS)
        with self.client() as client:
            assert client.get("/readyz").status == 200
        return self

    def _is_ready(self):
        status = self.process.poll()
        is_ready = self.is_ready()
        assert is_ready or status is None, f"ended with {status} before it was ready:\n{self.stderr()}"
        return is_ready

    def is_ready(self):
        """Whether it has said so; where it listens is known from then on."""
        match = re.search(r"^ready listen=(\S+) admin_listen=(\S+)( |$)", self.stderr(), re.M)
        if match:
            self.ready = Ready(address_of(match[1]), address_of(match[2]))
        return match is not None

    def wait(self, seconds=READY_SECONDS):
        """The exit status, once it has ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {seconds} s:\n{self.stderr()}") from None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, status=0):
        self.terminate()
        assert self.wait() == status, self.stderr()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        assert self.process.poll() is not None, "still running"
        return self.start()

    def end(self):
        """Whatever state it is in: gone afterwards."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stderr(self):
        return self.log.read_text(errors="replace") if self.log else ""

    def all_stderr(self):
        """Of all runs, for the report of a failed test."""
        return "".join(f"--- run {n}\n{(self.folder / f'stderr-{n}').read_text(errors='replace')}"
                       for n in range(1, self.runs + 1))

    # -- requests --

    def client(self, **options):
        return Client(self.ready.public, **{"sign": self.sign, **options})

    def admin_client(self, **options):
        return Client(self.ready.admin, **options)

    @property
    def token(self):
        return (self.data / "admin.token").read_text().strip()

    @property
    def admin_url(self):
        return "http://{}:{}".format(*self.ready.admin)

    def claim(self, user, event, **fields):
        with self.client() as client:
            return client.claim(user, event, **fields)

    def get(self, target):
        with self.client() as client:
            return client.get(target)

    def status_of(self, event):
        response = self.get(status_path(event))
        assert response.status == 200, response
        return response.json

    def coupon_of(self, user, event):
        """What the user route says: the coupon, or None; never in doubt."""
        response = self.get(user_path(user, event))
        assert response.status == 200, response
        return response.json["coupon"]

    def admin(self, method, target, body=None, token=True):
        fields = [("Authorization", f"Bearer {self.token}")] if token else []
        with self.admin_client() as client:
            return client.request(method, target, body, fields)

    def create(self, event, stock, **members):
        response = self.admin("POST", EVENTS, dict(event_id=event, total_stock=stock, **members))
        assert response.status == 201, response
        return response.json

    def export(self, event):
        """The holders, in order of their serials."""
        response = self.admin("GET", f"{EVENTS}/{event}/export?format=ndjson")
        assert response.status == 200, response
        return [json.loads(line) for line in response.body.decode().splitlines()]

    def health(self):
        return self.get("/health").json

    # -- other commands of the program --

    def run(self, *words, status=0, environment=(), seconds=READY_SECONDS):
        return run(*words, status=status, environment=dict(self.environment, **dict(environment)),
                   seconds=seconds)

    def event(self, *words, status=0):
        """`coupond event …` against this server."""
        return run("event", *words, "--admin", self.admin_url, "--data-dir", str(self.data),
                   status=status)


class Servers:
    """Makes servers, each on a folder of its own, and ends them."""

    def __init__(self, factory, name):
        self.factory, self.name, self.made = factory, name, []

    def folder(self):
        return self.factory.mktemp(self.name)

    def new(self, *flags, folder=None, **options):
        server = Server(folder or self.folder(), *flags, **options)
        self.made.append(server)
        return server

    def start(self, *flags, **options):
        return self.new(*flags, **options).start()

    def end(self):
        for server in self.made:
            server.end()


def run(*words, status=0, environment=None, seconds=READY_SECONDS):
    """Runs the program to its end and checks its exit status (None: any)."""
    done = subprocess.run([COUPOND, *map(str, words)], capture_output=True, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, timeout=seconds,
                          env=environment, check=False)
    assert status is None or done.returncode == status, done
    return done


def option_table(command=None):
    """All that the program knows of its options, or of those of one command."""
    rows = json.loads(run("config", "--table").stdout)["options"]
    return [row for row in rows if "name" in row and command in [None, *row["commands"]]]
