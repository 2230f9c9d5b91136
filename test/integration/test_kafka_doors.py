# SPDX-License-Identifier: Apache-2.0
"""Brokers whose doors want TLS, a log-in, a certificate. What is set up right works for serve, consume
and verify; what is wrong ends within seconds, with one line that names the option, and no secret in it.
"""
import ctypes
import subprocess
import time

import pytest
from consume import Consumer
from harness import COUPOND, READY_SECONDS, run, wait_until
from kafka_cluster import LIB, Door, KafkaCluster
from redis_cluster import PASSWORDS, Certificates

pytestmark = [pytest.mark.redis, pytest.mark.kafka, pytest.mark.mariadb]

WORDS = {"coupond": "word-of-the-log", "nobody": "word-of-nobody"}
SCRAM_IS_RIGHT = 0x02060100  # librdkafka before sends a nonce that Kafka 4 refuses
SECONDS = 25


class Doors:
    """One broker with a door of each kind, and the options that lead through them."""

    def __init__(self, folder):
        self.folder = folder
        self.ours = Certificates(folder, "ours", "coupond", names="IP:127.0.0.1")
        self.strange = Certificates(folder, "strange", "stranger", names="DNS:elsewhere.example")
        self.kafka = KafkaCluster(folder / "kafka", 1, users=WORDS, doors=[
            Door("TLS", "SSL", self.ours), Door("ELSEWHERE", "SSL", self.strange),
            Door("SCRAM", "SASL_SSL", self.ours), Door("WORD", "SASL_SSL", self.ours, WORDS),
            Door("MUTUAL", "SSL", self.ours, trusts=self.ours)],
            lines=["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                   "super.users=User:coupond;User:CN=coupond;User:ANONYMOUS"])

    def secret(self, text):
        path = self.folder / f"secret-{hash(text)}"
        path.touch(0o600)
        path.write_text(text + "\n")
        return str(path)

    def flags(self, door, *words, ca="ours", user=None, word=None, shows=None):
        flags = ["--kafka", self.kafka.through(door) if door else self.kafka.brokers,
                 "--kafka-replicas", "1", "--kafka-min-isr", "1", *words]
        if ca:
            flags += ["--kafka-ca", str(getattr(self, ca).ca)]
        if user:
            flags += ["--kafka-user", user, "--kafka-password-file", self.secret(word or WORDS[user])]
        if shows:
            pair = getattr(self, shows)
            flags += ["--kafka-cert", str(pair.cert), "--kafka-key", str(pair.key)]
        return flags


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    (folder / "kafka").mkdir()
    made = Doors(folder)
    try:
        made.kafka.start()
        yield made
    finally:
        made.kafka.end()


PLAIN = ("--kafka-mechanism", "plain")
GOOD = {"TLS": {}, "WORD": {"words": PLAIN, "user": "coupond"}, "MUTUAL": {"shows": "ours"},
        "SCRAM": {"user": "coupond"}}


def knows_scram():
    """TEST_KAFKA_JARS may be those of Kafka 3, which takes what older libraries send."""
    if list(LIB.glob("kafka_2.13-3.*.jar")):
        return True
    library = ctypes.CDLL("librdkafka.so.1")
    return library.rd_kafka_version() >= SCRAM_IS_RIGHT


def through(doors, name):
    options = dict(GOOD[name])
    return doors.flags(name, *options.pop("words", ()), **options)


def serve_flags(redis, folder):
    password = folder / "redis.password"
    password.touch(0o600)
    password.write_text(PASSWORDS["coupond"] + "\n")
    return ["--mode", "cluster", "--redis", redis.seeds, "--redis-user", "coupond",
            "--redis-password-file", str(password)]


class AnyTopic:
    """What a Consumer wants of a Topic, with flags of its own."""

    def __init__(self, name, flags):
        self.name, self.count = name, 0
        self.flags = [*flags, "--kafka-topic", name]


@pytest.mark.parametrize("name", GOOD)
def test_through_the_door(doors, redis_cluster, database, servers, tmp_path, name):
    """A claim is won through it, recorded through it, and proven through it."""
    if name == "SCRAM" and not knows_scram():
        pytest.skip("this librdkafka cannot log in by SCRAM at Kafka 4: see test_scram")
    topic = AnyTopic(f"door-{name}", through(doors, name))
    server = servers.start(*serve_flags(redis_cluster, tmp_path), *topic.flags)
    server.create(f"EV-{name}", 5)
    assert server.claim("ada", f"EV-{name}").result == "issued"
    consumer = Consumer(tmp_path / "consumer", topic, database)
    try:
        consumer.start()
        wait_until(lambda: database.ask("SELECT user_id, serial FROM user_coupons") == [("ada", "1")],
                   "the row", READY_SECONDS)
        flags = ["--mode", "cluster", "--recheck-after", "0", "--data-dir", str(tmp_path),
                 *topic.flags, *database.flags("coupond_reader")]
        assert "everything agrees" in run("verify", *flags).stdout
        consumer.stop()
    finally:
        consumer.end()
    server.stop()
    said = server.all_stderr() + consumer.all_stderr()
    assert not any(word in said for word in WORDS.values())


def test_scram(doors, database, tmp_path):
    """With a librdkafka that Kafka 4 refuses although the password is right, the line says so."""
    said = refused(doors, database, tmp_path, "verify", doors.flags("SCRAM", user="coupond"))
    if knows_scram():
        assert "log-in" not in said and "topic wrong" in said, said
    else:
        assert "librdkafka older than 2.6.1" in said and "--kafka-mechanism plain" in said, said


# ---- what is wrong ----

WRONG = {
    "password": (("WORD", *PLAIN), {"user": "coupond", "word": "wrong-word"}, "--kafka-password-file"),
    "user": (("WORD", *PLAIN), {"user": "eve", "word": "wrong-word"}, "as eve is refused (--kafka-user"),
    "mechanism": (("WORD",), {"user": "coupond"}, "--kafka-mechanism"),
    "authority": (("TLS",), {"ca": "strange"}, "not one of the authority in --kafka-ca"),
    "name": (("ELSEWHERE",), {"ca": "strange"}, "not for the name that --kafka "),
    "no certificate": (("MUTUAL",), {}, "(--kafka-cert"),
    "certificate": (("MUTUAL",), {"shows": "strange"}, "(--kafka-cert"),
    "no TLS at this port": ((None,), {}, "no TLS (--kafka-ca"),
    "rights": (("WORD", *PLAIN), {"user": "nobody"}, "--kafka-user"),
}
HANGS_UP = {
    "plain text to a port with TLS": (("TLS",), {"ca": None}, "TLS (--kafka-ca)"),
    "nobody to a port with a log-in": (("WORD",), {}, "log-in (--kafka-user)"),
}


def spawn(doors, database, folder, kind, flags):
    """Starts it, with what else it needs."""
    folder.mkdir(exist_ok=True)
    common = ["--data-dir", str(folder), "--kafka-topic", "wrong", *flags]
    words = {"verify": ["--mode", "cluster", "--recheck-after", "0", "--timeout", "6s", *common,
                        *database.flags("coupond_reader")],
             "consume": ["--listen", "127.0.0.1:0", "--verify-every", "0", *common, *database.flags()]}
    return subprocess.Popen([COUPOND, kind, *words[kind]], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process, kind):
    """Its only line, once it has ended in time with a status that says no."""
    try:
        said = process.communicate(timeout=SECONDS)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"still running: {process.communicate()[0]}") from None
    assert process.returncode in (1, 2), said
    lines = [line for line in said.splitlines() if " event=no_code_key " not in line]
    assert len(lines) == 1 and lines[0].startswith(f"coupond {kind}: "), said
    assert not any(word in said for word in (*WORDS.values(), "wrong-word")), said
    return lines[0]


def refused(doors, database, folder, kind, flags):
    return ended(spawn(doors, database, folder, kind, flags), kind)


@pytest.mark.parametrize("kind", ["verify", "consume"])
def test_what_is_wrong_is_named(doors, database, tmp_path, kind):
    """All at once: each waits some seconds for a broker that may just be starting."""
    cases = dict(WRONG, **HANGS_UP) if kind == "verify" else WRONG
    cases = {name: case for name, case in cases.items() if (kind, name) != ("verify", "rights")}
    running = {name: spawn(doors, database, tmp_path / name.replace(" ", "-"), kind,
                           doors.flags(*words, **options))
               for name, (words, options, _) in cases.items()}
    said = {name: ended(process, kind) for name, process in running.items()}
    unnamed = {name: said[name] for name, (_, _, told) in cases.items() if told not in said[name]}
    assert not unnamed
    assert database.ask("SELECT * FROM log_offsets") == []


def test_serve_opens_nothing(doors, redis_cluster, servers, tmp_path):
    server = servers.new(*serve_flags(redis_cluster, tmp_path), *doors.flags("TLS", ca="strange"))
    begin = time.monotonic()
    server.spawn()
    assert server.wait(SECONDS) == 1
    lines = [line for line in server.stderr().splitlines() if " info " not in line]
    assert len(lines) == 1 and "--kafka-ca" in lines[0] and "ready listen" not in server.stderr()
    assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("words, options, told", [
    ((), {"shows": "ours", "ca": None}, "--kafka-ca is missing"),
    (PLAIN, {"user": "coupond", "ca": None}, "only with TLS"),
    (("--kafka-cert", "/nowhere", "--kafka-key", "/nowhere"), {}, "--kafka-cert: cannot read"),
    (("--kafka-cert", "/dev/null"), {}, "need each other"),
])
def test_options_that_do_not_go_together(doors, database, tmp_path, words, options, told):
    process = spawn(doors, database, tmp_path, "consume", doors.flags("TLS", *words, **options))
    assert told in ended(process, "consume") and process.returncode == 2


def test_files_that_are_none(doors, database, tmp_path):
    junk = tmp_path / "junk"
    junk.touch(0o600)
    junk.write_text("junk\n")
    for words, told in ((["--kafka-ca", junk], "--kafka-ca: "),
                        (["--kafka-cert", junk, "--kafka-key", doors.ours.key], "--kafka-cert: "),
                        (["--kafka-cert", doors.ours.cert, "--kafka-key", doors.strange.key],
                         "--kafka-key: ")):
        flags = doors.flags("MUTUAL") + list(map(str, words))
        assert told in refused(doors, database, tmp_path, "consume", flags)
    readable = tmp_path / "key"
    readable.write_bytes(doors.ours.key.read_bytes())
    readable.chmod(0o644)
    flags = doors.flags("MUTUAL", "--kafka-cert", str(doors.ours.cert), "--kafka-key", str(readable))
    assert "chmod 600" in refused(doors, database, tmp_path, "consume", flags)


def test_config_shows_names_of_files_alone(doors):
    flags = doors.flags("WORD", *PLAIN, user="coupond", shows="ours")
    said = run("config", "--mode", "cluster", "--redis", "127.0.0.1:1", *flags).stdout
    assert str(doors.ours.key) in said and not any(word in said for word in WORDS.values())
    assert "PRIVATE KEY" not in said
