# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: servers that end with their test, whatever happens to it."""
import contextlib
import os
import random
import subprocess

import pytest
from consume import Consumer, Topic
from deployment import Deployment
from gateway import Gateway, Recorder
from harness import CLUSTER, COUPOND, ROOT, Server, Servers, sanitizer_of
from kafka_cluster import KafkaCluster
from mariadb import MariaDB
from rebuild import Lost
from redis_cluster import PASSWORDS, Certificates, Drive, RedisCluster
from slow_disk import SlowDisk, build_shim


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: worth running under ThreadSanitizer")
    config.addinivalue_line("markers", "failpoints: needs a program built with -Dfailpoints=true")
    config.addinivalue_line("markers", "openapi: needs the Python packages of test/openapi.txt")
    config.addinivalue_line("markers", "promtool: needs promtool of Debian's package prometheus")
    config.addinivalue_line("markers", "browser: needs Chromium")
    config.addinivalue_line("markers", "redis: needs redis-server")
    config.addinivalue_line("markers", "mariadb: needs mariadbd")
    config.addinivalue_line("markers", "kafka: needs Java, Maven and kcat")


@pytest.fixture(scope="session", autouse=True)
def mode(request, tmp_path_factory):
    """With COUPOND_TEST_MODE=cluster all servers are in cluster mode, on one Redis and one Kafka."""
    if os.environ.get("COUPOND_TEST_MODE") != "cluster":
        yield
        return
    redis, kafka = (request.getfixturevalue(name) for name in ("redis_cluster", "kafka"))
    password = tmp_path_factory.mktemp("secrets") / "redis"
    password.touch(0o600)
    password.write_text(PASSWORDS["coupond"])
    CLUSTER.update({"--redis": redis.seeds, "--redis-user": "coupond",
                    "--redis-password-file": str(password), "--kafka": kafka.brokers})
    yield
    CLUSTER.clear()


@pytest.fixture(autouse=True)
def empty_redis(request):
    """Events of one test have names of another one's, in another topic."""
    if CLUSTER:
        for node in request.getfixturevalue("redis_cluster").nodes:
            if node.is_master():
                node("FLUSHALL")


@pytest.fixture
def servers(tmp_path_factory):
    """Servers of one test."""
    made = Servers(tmp_path_factory, "server")
    yield made
    made.end()


@pytest.fixture
def server(servers):
    """A server of one test, with two network threads."""
    return servers.start("--threads", "2")


@contextlib.contextmanager
def shared_server(tmp_path_factory, **options):
    """A server of one file of tests; it has to be there, and good, when they are over."""
    made = Servers(tmp_path_factory, "shared")
    running = made.start("--threads", "2", **options)
    yield running
    try:
        assert running.is_running(), running.stderr()
        running.stop()
    finally:
        made.end()


@pytest.fixture
def dice():
    """Random, but to be had again: COUPOND_TEST_SEED fixes it, and a failure shows it."""
    seed = int(os.environ.get("COUPOND_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"COUPOND_TEST_SEED={seed}")
    return random.Random(seed)


class Counter:
    """How often something was done; said at the end of the session."""

    def __init__(self):
        self.count = 0

    def add(self, count=1):
        self.count += count


CRASH_RUNS = Counter()


@pytest.fixture
def crash_runs():
    return CRASH_RUNS


def pytest_terminal_summary(terminalreporter):
    if CRASH_RUNS.count > 0:
        terminalreporter.write_line(f"crash runs: {CRASH_RUNS.count}")
@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with shared_server(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory):
    """Three masters with a replica each. A test leaves it whole, whoever is a master then."""
    cluster = RedisCluster(tmp_path_factory.mktemp("redis"))
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory):
    """A MariaDB server. A test leaves it running and writable; what is in it is each test's own."""
    database = MariaDB(tmp_path_factory.mktemp("mariadb"))
    try:
        yield database.install().start()
    finally:
        database.end()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """Three brokers. A test leaves all of them running."""
    cluster = KafkaCluster(tmp_path_factory.mktemp("kafka"))
    try:
        yield cluster.start()
    finally:
        cluster.end()


@pytest.fixture
def database(mariadb):
    """Tables of one test."""
    mariadb.drop()
    yield mariadb.prepare()
    mariadb.drop()


@pytest.fixture
def lost(servers, redis_cluster, kafka, mariadb, tmp_path):
    """A whole deployment, whose parts may be lost."""
    mariadb.drop()
    mariadb.prepare()
    one = Lost(servers, redis_cluster, kafka, mariadb, tmp_path)
    yield one
    one.end()
    mariadb.drop()


@pytest.fixture
def topic(kafka, tmp_path):
    return Topic(kafka.brokers, tmp_path, kafka.replicas, kafka.in_sync)


@pytest.fixture
def consumers(topic, tmp_path):
    """Makes consumers, which end with the test."""
    made = []

    def new(database, *flags, **options):
        made.append(Consumer(tmp_path / f"consumer-{len(made)}", topic, database, *flags, **options))
        return made[-1]

    new.made = made
    yield new
    for one in made:
        one.end()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """For servers of 127.0.0.1, whose name clients check."""
    return Certificates(tmp_path_factory.mktemp("certificates"), subject="127.0.0.1")


@pytest.fixture
def drives(redis_cluster):
    """Makes clients of it, which end with the test."""
    with contextlib.ExitStack() as stack:
        def make(cluster=redis_cluster, **options):
            drive = Drive(cluster, **options)
            stack.callback(drive.end)
            return drive
        yield make


@pytest.fixture
def drive(drives):
    return drives()


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def disk(shim, tmp_path):
    """A disk that stands still or fails when told so; give it to servers.start(**disk.preload)."""
    with SlowDisk(shim, tmp_path / "disk") as slow_disk:
        yield slow_disk


@pytest.fixture(scope="session")
def other_time(tmp_path_factory):
    """A library that moves the wall clock of a program by OTHER_TIME seconds."""
    library = tmp_path_factory.mktemp("shim") / "other_time.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(library),
                    str(ROOT / "test" / "fake" / "other_time.c"), "-ldl"], check=True)
    return library


@pytest.fixture
def start(tmp_path_factory):
    """Starts gateways: start(addresses, **options of Gateway)."""
    made = []

    def start_one(addresses, **options):
        made.append(Gateway(tmp_path_factory.mktemp("gateway"), addresses, **options))
        return made[-1].start()

    no_gateway_under_sanitizers()
    yield start_one
    for one in made:
        one.end()


def no_gateway_under_sanitizers():
    if sanitizer_of(COUPOND):
        pytest.skip("NGINX has no sanitizer in it")


@pytest.fixture(scope="module")
def behind():
    """What a gateway of one file has behind it."""
    with Recorder() as recorder:
        yield recorder
        assert recorder.malformed == []


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, behind):
    """One of a file, in front of `behind`; its connections to it are kept. What is left of a body that
    was refused is not waited for as long as usual."""
    no_gateway_under_sanitizers()
    one = Gateway(tmp_path_factory.mktemp("gateway"), [behind.address], trusted=["127.1.9.0/24"],
                  changes=[("send_timeout 10s;", "send_timeout 10s; lingering_timeout 1s;")])
    try:
        yield one.start()
        assert one.process.poll() is None, one.said()
    finally:
        one.end()


@pytest.fixture
def seen(behind):
    """The requests of one test that reached it."""
    behind.seen.clear()
    return behind.seen


@pytest.fixture
def deployment(servers, redis_cluster, kafka):
    """Servers that share a topic, none of them started yet."""
    return Deployment(servers, redis_cluster, kafka)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the servers of a failed test wrote is part of its report."""
    report = (yield).get_result()
    if not report.failed:
        return
    for name, value in getattr(item, "funcargs", {}).items():
        for one in getattr(value, "made", [value]):
            if isinstance(one, Server):
                report.sections.append((f"stderr of {name}", one.all_stderr()))
