# SPDX-License-Identifier: Apache-2.0
"""A real Redis Cluster on free ports in a folder of its own: three masters, each with a replica, with
the settings of deploy/redis/.

    RedisCluster  starts, wounds, heals and ends its nodes, by process id
    Node          one of them: its process, and commands to it as the operator
    Certificates  what TLS needs
    Drive         test/integration/redis_drive.c: the client of lib/redis/cluster.h behind a pipe

    slot_of       where a key belongs, by Python's own CRC
"""
import binascii
import contextlib
import hashlib
import json
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

from harness import COUPOND, ROOT, wait_until

DEPLOY = ROOT / "deploy" / "redis"
DRIVE = pathlib.Path(COUPOND).parent / "test" / "redis_drive"
PASSWORDS = {"coupond": "for-claims", "replica": "for-copies", "admin": "for-people"}
SLOTS = 16384
NODE_TIMEOUT_MS = 1000  # in tests: a failover is to take seconds
READY_SECONDS = 90


class RedisError(Exception):
    """An error reply."""


def slot_of(key):
    tag = re.match(r"[^{]*\{([^}]+)\}", key)
    return binascii.crc_hqx((tag[1] if tag else key).encode(), 0) % SLOTS


def server_program(folder):
    """redis-server; Debian's redis-tools has it as redis-check-rdb, which looks at its own name."""
    found = shutil.which("redis-server")
    if not found:
        found = pathlib.Path(folder) / "redis-server"
        found.symlink_to(shutil.which("redis-check-rdb"))
    return str(found)


def free_ports(count):
    """Ports that were free a moment ago, each different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


# ---- nodes ----

class Connection:
    """Commands to one node, one at a time."""

    def __init__(self, port, user=None, password=None, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        if context:
            self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        if password:
            self("AUTH", user, password)

    def __call__(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) +
                            b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return rest

    def close(self):
        self.file.close()
        self.socket.close()


class Certificates:
    """An authority, and a certificate of it for everybody, in a folder. `names` is what clients that
    look at names want, like IP:127.0.0.1."""

    def __init__(self, folder, name="authority", subject="node", names=None):
        folder = pathlib.Path(folder)
        self.ca, self.cert, self.key = (folder / f"{name}-{part}.pem" for part in ("ca", "cert", "key"))
        ca_key, request = folder / f"{name}-ca-key.pem", folder / f"{name}.csr"
        usual = ["-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        extra = ["-addext", f"subjectAltName={names}"] if names else []
        for words in (
                ["req", "-x509", *usual, "-keyout", ca_key, "-out", self.ca, "-subj", f"/CN={name}"],
                ["req", *usual, "-keyout", self.key, "-out", request, "-subj", f"/CN={subject}",
                 *extra],
                ["x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
                 "-copy_extensions", "copy", "-CAcreateserial", "-out", self.cert]):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

    def context(self):
        context = ssl.create_default_context(cafile=str(self.ca))
        context.check_hostname = False
        context.load_cert_chain(self.cert, self.key)
        return context


class Node:
    """One redis-server."""

    def __init__(self, cluster, port, bus_port):
        self.cluster, self.port, self.bus_port = cluster, port, bus_port
        self.folder = cluster.folder / str(port)
        self.folder.mkdir()
        self.process, self.connection = None, None
        self.address = f"127.0.0.1:{port}"
        lines = [f"include {DEPLOY / 'redis.conf'}", f"dir {self.folder}", "bind 127.0.0.1",
                 f"cluster-port {bus_port}", f"cluster-node-timeout {NODE_TIMEOUT_MS}",
                 f"aclfile {cluster.acl}", f"masterauth {PASSWORDS['replica']}",
                 "cluster-announce-ip 127.0.0.1", *cluster.lines_of(port)]
        (self.folder / "node.conf").write_text("\n".join(lines) + "\n")

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.cluster.program, str(self.folder / "node.conf")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __call__(self, *words):
        """As the operator; once more on a new connection when the old one is broken."""
        for is_last in (False, True):
            try:
                if self.connection is None:
                    self.connection = self.connect("admin")
                return self.connection(*words)
            except (OSError, ConnectionError):
                self.forget()
                if is_last:
                    raise
        return None

    def connect(self, user):
        return Connection(self.port, user, PASSWORDS[user], self.cluster.context)

    def forget(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def answers(self):
        assert self.process.poll() is None, self.log()
        try:
            return self("PING") == "PONG"
        except (OSError, RedisError):
            return False

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def info(self, field):
        return re.search(rf"^{field}:(.*?)\r?$", self("INFO", "everything"), re.M)[1]

    def cluster_info(self, field):
        return re.search(rf"^{field}:(.*?)\r?$", self("CLUSTER", "INFO"), re.M)[1]

    @property
    def id(self):
        return self("CLUSTER", "MYID")

    def is_master(self):
        return self.info("role") == "master"

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        self.forget()
        self.process.kill()
        self.process.wait()

    def end(self):
        self.forget()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


# ---- the cluster ----

class RedisCluster:
    """`masters` of them with `replicas` each; with `certificates` (a Certificates) over TLS."""

    def __init__(self, folder, masters=3, replicas=1, certificates=None):
        self.folder, self.masters_count = pathlib.Path(folder), masters
        self.program = server_program(self.folder)
        self.certificates, self.context = certificates, None
        if certificates:
            self.context = certificates.context()
        self.acl = self.folder / "users.acl"
        text = (DEPLOY / "users.acl.in").read_text()
        for user, password in PASSWORDS.items():
            digest = hashlib.sha256(password.encode()).hexdigest()
            text = text.replace(f"@{user.upper()}_PASSWORD_SHA256@", digest)
        self.acl.write_text(text)
        count = masters * (1 + replicas)
        ports = free_ports(2 * count)
        self.nodes = [Node(self, *pair) for pair in zip(ports[:count], ports[count:])]

    def lines_of(self, port):
        if not self.certificates:
            return [f"port {port}"]
        files = self.certificates
        return ["port 0", f"tls-port {port}", "tls-cluster yes", "tls-replication yes",
                f"tls-ca-cert-file {files.ca}", f"tls-cert-file {files.cert}",
                f"tls-key-file {files.key}"]

    def start(self):
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            wait_until(node.answers, f"an answer of {node.address}", READY_SECONDS)
        self._share_out()
        first = self.nodes[0]
        for node in self.nodes[1:]:
            first("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        for node in self.nodes:
            wait_until(lambda node=node: self._knows_all(node), "nodes that know each other",
                       READY_SECONDS)
        for number, node in enumerate(self.nodes[self.masters_count:]):
            node("CLUSTER", "REPLICATE", self.nodes[number % self.masters_count].id)
        self.await_whole()
        return self

    def _share_out(self):
        bounds = [SLOTS * i // self.masters_count for i in range(self.masters_count + 1)]
        for number, node in enumerate(self.nodes):
            node("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < self.masters_count:
                node("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)

    def _knows_all(self, node):
        return (node.cluster_info("cluster_known_nodes") == str(len(self.nodes)) and
                "handshake" not in node("CLUSTER", "NODES"))

    def await_whole(self):
        """Until every node runs, sees all slots served, and every replica follows."""
        wait_until(self._is_whole, "a whole cluster", READY_SECONDS)

    def _is_whole(self):
        try:
            return all(map(self._is_well, self.nodes))
        except (OSError, RedisError):
            return False

    def _is_well(self, node):
        rows = [row.split() for row in node("CLUSTER", "NODES").splitlines()]
        masters = [row for row in rows if "master" in row[2]]
        return (node.cluster_info("cluster_state") == "ok" and
                node.cluster_info("cluster_slots_ok") == str(SLOTS) and
                not any("fail" in row[2] for row in rows) and
                len(masters) == self.masters_count and
                (node.is_master() or node.info("master_link_status") == "up"))

    def end(self):
        for node in self.nodes:
            node.end()

    # -- who is who --

    def masters(self):
        return [node for node in self.nodes if node.is_master()]

    def by_id(self, name):
        return next(node for node in self.nodes if node.id == name)

    def master_of(self, key):
        """The master that has the slot of `key`, as most nodes would say."""
        slot = slot_of(key)
        for node in self.nodes:
            if node.process.poll() is None and node.is_master():
                for row in node("CLUSTER", "NODES").splitlines():
                    if "myself" in row and has_slot(row.split()[8:], slot):
                        return node
        return None

    def replica_of(self, master):
        name = master.id
        return next(node for node in self.nodes if node is not master and
                    node.process.poll() is None and
                    f"myself,slave {name}" in node("CLUSTER", "NODES"))

    def failover(self, key):
        """The replica of the slot of `key` takes over, in good order. Returns it and the old master."""
        old = self.master_of(key)
        new = self.replica_of(old)
        new("CLUSTER", "FAILOVER")
        wait_until(new.is_master, "a failover", READY_SECONDS)
        wait_until(lambda: not old.is_master(), "a master that follows", READY_SECONDS)
        return new, old

    @property
    def seeds(self):
        return ",".join(node.address for node in self.nodes)


def has_slot(ranges, slot):
    for one in ranges:
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", one)
        if match and int(match[1]) <= slot <= int(match[2] or match[1]):
            return True
    return False


# ---- the client ----

class Drive:
    """A client; `ask` sends lines in one write and returns their answers in the order of the lines."""

    def __init__(self, cluster, seeds=None, user="coupond", **options):
        words = {"user": user, "password": PASSWORDS[user], **options}
        if cluster.certificates and "ca" not in options:
            files = cluster.certificates
            words.update(ca=files.ca, cert=files.cert, key=files.key)
        self.process = subprocess.Popen(
            [str(DRIVE), seeds or cluster.seeds, *(f"{name}={value}" for name, value in words.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines, self.answers, self.changed = 0, {}, threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.changed:
                self.answers[answer["line"]] = answer
                self.changed.notify_all()

    def send(self, *lines):
        """Without waiting; returns the numbers of the lines."""
        text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()
        self.lines += len(lines)
        return range(self.lines - len(lines) + 1, self.lines + 1)

    def take(self, numbers, seconds=READY_SECONDS):
        """The answers to these lines."""
        with self.changed:
            done = self.changed.wait_for(
                lambda: all(number in self.answers for number in numbers), seconds)
            assert done, f"not within {seconds} s: {[n for n in numbers if n not in self.answers][:5]}"
            return [self.answers.pop(number) for number in numbers]

    def has(self, number):
        with self.changed:
            return number in self.answers

    def ask(self, *lines):
        return self.take(self.send(*lines))

    def one(self, *words):
        return self.ask(words)[0]

    def claim(self, event, user, gen=1, claim="c"):
        return self.one("claim", event, user, claim, gen)

    def install(self, event, gen=1, stock=10, starts=0, ends=10**14, status=1, holders=(), ver=None,
                of=None, before=0):
        """`holders`: pairs of user and serial, `of` so many in all, behind `before` of them."""
        flat = [word for holder in holders for word in holder]
        return self.one("install", event, gen, gen if ver is None else ver, stock, starts, ends,
                        status, before + len(holders) if of is None else of, before, *flat)

    def state(self):
        return self.one("state")

    def count(self, name):
        return self.state()[name]

    def end(self):
        """Ends its input, and it with that; one with commands still under way is killed."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        assert self.process.returncode in (0, -signal.SIGKILL), "the client failed"
