# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka on free ports in a folder of its own: three nodes, each broker and controller,
with the settings of deploy/kafka/.

    KafkaCluster  starts, wounds, heals and ends its nodes, by process id
    KafkaNode     one of them
    Door          a listener of theirs beside the plain one

Its jars come from Maven Central, once, into build-check/kafka/ or the folder TEST_KAFKA_JARS.
"""
import base64
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess

from harness import ROOT, wait_until
from redis_cluster import free_ports

DEPLOY = ROOT / "deploy" / "kafka"
LIB = pathlib.Path(os.environ.get("TEST_KAFKA_JARS", ROOT / "build-check" / "kafka" / "lib"))
READY_SECONDS = 120
# What has a copy on each of three nodes, as deploy/kafka/ says it.
ALONE = ["offsets.topic.replication.factor", "transaction.state.log.replication.factor",
         "transaction.state.log.min.isr", "share.coordinator.state.topic.replication.factor",
         "share.coordinator.state.topic.min.isr", "default.replication.factor", "min.insync.replicas"]
HEAP = ["-Xms192m", "-Xmx192m", "-XX:+UseSerialGC"]


def fetch_jars():
    if not list(LIB.glob("kafka_2.13-*.jar")):
        LIB.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mvn", "-q", "-B", "-f", str(DEPLOY / "pom.xml"),
                        "dependency:copy-dependencies", f"-DoutputDirectory={LIB}",
                        "-DincludeScope=runtime"], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=600)
    return dict(os.environ, CLASSPATH=f"{LIB}/*")


class Door:
    """`protocol` is SSL, SASL_SSL or SASL_PLAINTEXT; `certificates` what it shows. With `passwords`
    (of users) the log-in is PLAIN, else SCRAM-SHA-512; with `trusts` it wants a certificate."""

    def __init__(self, name, protocol, certificates=None, passwords=(), trusts=None):
        self.name, self.protocol, self.certificates = name, protocol, certificates
        self.passwords, self.trusts = dict(passwords), trusts

    def lines(self, folder):
        own = f"listener.name.{self.name.lower()}"
        lines = []
        if self.certificates:
            chain = folder / f"{self.name}.pem"
            chain.write_text(self.certificates.key.read_text() + self.certificates.cert.read_text())
            lines += [f"{own}.ssl.keystore.type=PEM", f"{own}.ssl.keystore.location={chain}"]
        if self.trusts:
            lines += [f"{own}.ssl.truststore.type=PEM", f"{own}.ssl.client.auth=required",
                      f"{own}.ssl.truststore.location={self.trusts.ca}"]
        return lines + (self._log_in(own) if "SASL" in self.protocol else [])

    def _log_in(self, own):
        users = "".join(f" user_{user}={password}" for user, password in self.passwords.items())
        name, module = ("PLAIN", "plain.Plain") if users else ("SCRAM-SHA-512", "scram.Scram")
        return [f"{own}.sasl.enabled.mechanisms={name}",
                f"{own}.{name.lower()}.sasl.jaas.config="
                f"org.apache.kafka.common.security.{module}LoginModule required{users};"]


class KafkaNode:
    """One broker and controller."""

    def __init__(self, cluster, number, port, controller_port, *door_ports):
        self.cluster, self.number, self.port = cluster, number, port
        self.address, self.controller = f"127.0.0.1:{port}", f"127.0.0.1:{controller_port}"
        self.doors = dict(zip(cluster.doors, [f"127.0.0.1:{one}" for one in door_ports]))
        self.folder = cluster.folder / f"node-{number}"
        self.folder.mkdir()
        self.settings = self.folder / "server.properties"
        self.process, self.runs = None, 0

    def configure(self, voters):
        doors = "".join(f",{door.name}://{address}" for door, address in self.doors.items())
        protocols = "".join(f",{door.name}:{door.protocol}" for door in self.doors)
        own = [f"node.id={self.number}", f"controller.quorum.voters={voters}",
               f"listeners=PLAINTEXT://{self.address},CONTROLLER://{self.controller}{doors}",
               f"advertised.listeners=PLAINTEXT://{self.address}{doors}",
               f"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{protocols}",
               f"log.dirs={self.folder / 'data'}", *self.cluster.lines]
        for door in self.doors:
            own += door.lines(self.folder)
        self.settings.write_text((DEPLOY / "server.properties").read_text() + "\n".join(own) + "\n")

    def java(self, *words):
        return ["java", *HEAP, *words]

    def format(self, cluster_id):
        with (self.folder / "format.log").open("wb") as log:
            return subprocess.Popen(
                self.java("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c",
                          str(self.settings), "--ignore-formatted", *self.cluster.scram),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.cluster.environment)

    def start(self):
        self.runs += 1
        with (self.folder / f"log-{self.runs}").open("wb") as log:
            self.process = subprocess.Popen(self.java("kafka.Kafka", str(self.settings)),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.cluster.environment, cwd=self.folder)
        return self

    def log(self):
        return (self.folder / f"log-{self.runs}").read_text(errors="replace")

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def end(self):
        if self.is_running():
            self.kill()


class KafkaCluster:
    """`count` nodes, with `doors`; `users` have passwords for those with SASL, `lines` are settings more.
    A test leaves all of them running."""

    def __init__(self, folder, count=3, doors=(), users=(), lines=()):
        self.folder = pathlib.Path(folder)
        self.environment = fetch_jars()
        self.doors, self.lines = list(doors), list(lines)
        if count < 3:
            self.lines += [f"{name}={count}" for name in ALONE]
        self.scram = [word for user, password in dict(users).items() for word in
                      ("--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]")]
        each = 2 + len(self.doors)
        ports = free_ports(each * count)
        self.nodes = [KafkaNode(self, number + 1, *ports[each * number:each * (number + 1)])
                      for number in range(count)]
        voters = ",".join(f"{node.number}@{node.controller}" for node in self.nodes)
        for node in self.nodes:
            node.configure(voters)
        self.brokers = ",".join(node.address for node in self.nodes)
        self.replicas, self.in_sync = count, max(1, count - 1)

    def start(self):
        name = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A")
        for one in [node.format(name) for node in self.nodes]:
            assert one.wait(READY_SECONDS) == 0, (self.folder / "node-1" / "format.log").read_text()
        for node in self.nodes:
            node.start()
        self.await_all()
        return self

    def await_all(self):
        wait_until(self._is_whole, "all brokers", READY_SECONDS)

    def _is_whole(self):
        for node in self.nodes:
            assert node.is_running(), node.log()[-3000:]
        done = subprocess.run(["kcat", "-b", self.brokers, "-q", "-L", "-m", "2"],
                              capture_output=True, text=True, check=False, timeout=READY_SECONDS)
        return f" {len(self.nodes)} brokers:" in done.stdout

    def through(self, name):
        """The brokers at their doors of that name."""
        return ",".join(address for node in self.nodes for door, address in node.doors.items()
                        if door.name == name)

    def leader_of(self, topic):
        """The node that leads the topic's one partition."""
        done = subprocess.run(["kcat", "-b", self.brokers, "-q", "-L", "-t", topic],
                              capture_output=True, text=True, check=True, timeout=READY_SECONDS)
        number = int(done.stdout.split("partition 0, leader ")[1].split(",")[0])
        return next(node for node in self.nodes if node.number == number)

    def configure_topic(self, topic, **settings):
        """max_message_bytes=1 and the like."""
        words = ",".join(f"{name.replace('_', '.')}={value}" for name, value in settings.items())
        subprocess.run(["java", "-Xmx128m", "kafka.admin.ConfigCommand", "--bootstrap-server", self.brokers,
                        "--alter", "--entity-type", "topics", "--entity-name", topic,
                        "--add-config", words], check=True, env=self.environment,
                       capture_output=True, stdin=subprocess.DEVNULL, timeout=READY_SECONDS)

    def lose(self):
        """All that the brokers had is gone; they are up again, with nothing."""
        self.end()
        for node in self.nodes:
            shutil.rmtree(node.folder / "data")
        return self.start()

    def delete_topic(self, topic):
        def call(lib, client, queue):
            one = (ctypes.c_void_p * 1)(lib.rd_kafka_DeleteTopic_new(topic.encode()))
            lib.rd_kafka_DeleteTopics(client, one, ctypes.c_size_t(1), None, queue)
        self._administer(call)
        wait_until(lambda: f'"{topic}"' not in self._topics(), f"{topic} to be gone", READY_SECONDS)

    def delete_records(self, topic, before):
        """What is before this offset is gone."""
        def call(lib, client, queue):
            where = ctypes.c_void_p(lib.rd_kafka_topic_partition_list_new(1))
            lib.rd_kafka_topic_partition_list_add(where, topic.encode(), 0)
            lib.rd_kafka_topic_partition_list_set_offset(where, topic.encode(), 0, ctypes.c_int64(before))
            one = (ctypes.c_void_p * 1)(lib.rd_kafka_DeleteRecords_new(where))
            lib.rd_kafka_DeleteRecords(client, one, ctypes.c_size_t(1), None, queue)
        self._administer(call)

    def _topics(self):
        return subprocess.run(["kcat", "-b", self.brokers, "-q", "-L"], capture_output=True, text=True, check=True,
                              timeout=READY_SECONDS).stdout

    def _administer(self, call):
        """What the library can do and kcat cannot."""
        lib = ctypes.CDLL("librdkafka.so.1")
        for name in ("conf_new", "new", "queue_new", "queue_poll", "DeleteTopic_new", "DeleteRecords_new",
                     "topic_partition_list_new"):
            getattr(lib, f"rd_kafka_{name}").restype = ctypes.c_void_p
        conf = ctypes.c_void_p(lib.rd_kafka_conf_new())
        assert lib.rd_kafka_conf_set(conf, b"bootstrap.servers", self.brokers.encode(), None, ctypes.c_size_t(0)) == 0
        client = ctypes.c_void_p(lib.rd_kafka_new(0, conf, None, ctypes.c_size_t(0)))
        queue = ctypes.c_void_p(lib.rd_kafka_queue_new(client))
        call(lib, client, queue)
        event = ctypes.c_void_p(lib.rd_kafka_queue_poll(queue, READY_SECONDS * 1000))
        assert event and lib.rd_kafka_event_error(event) == 0
        lib.rd_kafka_event_destroy(event)
        lib.rd_kafka_queue_destroy(queue)
        lib.rd_kafka_destroy(client)

    def end(self):
        for node in self.nodes:
            node.end()
