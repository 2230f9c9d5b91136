# SPDX-License-Identifier: Apache-2.0
"""A real MariaDB on a free port in a folder of its own, with the settings of deploy/mariadb/.

    MariaDB    one server: starts, is killed, stopped, made read-only, ended, by process id
    Replicated a primary and a replica of it

Whoever runs the tests, root included, owns the server: no user of the system is needed.
"""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess

from harness import ROOT, run, wait_until
from redis_cluster import free_ports

DEPLOY = ROOT / "deploy" / "mariadb"
DATABASE = "coupond"
PASSWORDS = {"coupond_schema": "for-tables", "coupond_consumer": "for-rows",
             "coupond_reader": "for-questions"}
REPLICA_PASSWORD = "for-copies"
READY_SECONDS = 90
SMALL = ["innodb_buffer_pool_size=32M", "innodb_log_file_size=32M", "performance_schema=0",
         "max_connections=40", "table_open_cache=100", "aria_pagecache_buffer_size=8M",
         "key_buffer_size=1M", "innodb_doublewrite=0"]


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/usr/libexec")
    assert found, f"there is no {name}: install mariadb-server-core"
    return found


class MariaDB:
    """One server. `role` is the name of a settings file: primary or replica."""

    def __init__(self, folder, number=1, role="primary", lines=()):
        self.folder = pathlib.Path(folder)
        self.port = free_ports(1)[0]
        self.socket = pathlib.Path("/tmp") / f"coupond-test-{os.getpid()}-{self.port}.sock"
        self.process = None
        self.runs = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = self.folder / "my.cnf"
        own = [f"datadir={self.folder / 'data'}", f"socket={self.socket}", f"port={self.port}",
               f"pid_file={self.folder / 'pid'}", "bind_address=127.0.0.1",
               f"server_id={number}", f"user={pwd.getpwuid(os.getuid()).pw_name}",
               f"tmpdir={self.folder}", *SMALL, *lines]
        self.settings.write_text(
            "".join((DEPLOY / name).read_text() + "\n" for name in ("mariadb.cnf", f"{role}.cnf")) +
            "[mariadbd]\n" + "\n".join(own) + "\n")

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    # -- life --

    def install(self):
        with (self.folder / "install.log").open("wb") as log:
            subprocess.run([program("mariadb-install-db"), f"--defaults-file={self.settings}",
                            "--auth-root-authentication-method=normal", "--skip-test-db",
                            "--skip-name-resolve"], check=True, stdout=log, stderr=log,
                           stdin=subprocess.DEVNULL)
        return self

    def spawn(self, *flags):
        self.runs += 1
        with (self.folder / f"log-{self.runs}").open("wb") as log:
            self.process = subprocess.Popen(
                [program("mariadbd"), f"--defaults-file={self.settings}", *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def start(self, *flags):
        self.spawn(*flags)
        wait_until(self.answers, f"an answer of {self.address}", READY_SECONDS)
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()
        return self.client("SELECT 1").returncode == 0

    def log(self):
        return (self.folder / f"log-{self.runs}").read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(READY_SECONDS)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.socket.unlink(missing_ok=True)

    # -- questions, as root --

    def client(self, sql, database=""):
        return subprocess.run([program("mariadb"), "--no-defaults", "--batch", "--raw",
                               "--skip-column-names", "--default-character-set=utf8mb4",
                               f"--socket={self.socket}", "--user=root", database],
                              input=sql, capture_output=True, text=True, check=False,
                              timeout=READY_SECONDS)

    def session(self, sql, database=DATABASE):
        """A client that has done `sql` and stays connected until it is killed."""
        process = subprocess.Popen([program("mariadb"), "--no-defaults", "--batch", "--unbuffered",
                                    f"--socket={self.socket}", "--user=root", database],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write(sql + " SELECT 'done';\n")
        process.stdin.flush()
        while process.stdout.readline() != "done\n":
            assert process.poll() is None
        return process

    def run(self, sql, database=DATABASE):
        done = self.client(sql, database)
        assert done.returncode == 0, (sql, done.stderr)
        return done.stdout

    def ask(self, sql, database=DATABASE):
        """The rows, each a tuple of texts; NULL is the text NULL."""
        return [tuple(line.split("\t")) for line in self.run(sql, database).splitlines()]

    def number(self, sql):
        [[text]] = self.ask(sql)
        return int(text)

    def variable(self, name):
        [[_, value]] = self.ask(f"SHOW GLOBAL STATUS LIKE '{name}'", "")
        return value

    # -- set-up --

    def make_users(self):
        text = (DEPLOY / "users.sql.in").read_text()
        for user, password in PASSWORDS.items():
            mark = user.split("_")[1].upper()
            text = text.replace(f"@{mark}_PASSWORD@", password)
        self.run(text, "")
        return self

    def grant(self):
        self.run((DEPLOY / "grants.sql").read_text(), "")
        return self

    def flags(self, user="coupond_consumer", servers=None):
        """Options of the program that lead here."""
        path = self.folder / f"{user}.password"
        if not path.exists():
            path.touch(0o600)
            path.write_text(PASSWORDS[user] + "\n")
        return ["--database", servers or self.address, "--database-user", user,
                "--database-password-file", str(path)]

    def schema(self, verb="apply", status=0, user="coupond_schema"):
        return run("schema", verb, *self.flags(user), status=status)

    def prepare(self):
        """Users, tables, rights."""
        self.make_users()
        self.schema()
        return self.grant()

    def drop(self):
        self.run(f"DROP DATABASE IF EXISTS {DATABASE}", "")


class Replicated:
    """A primary, and a replica of it that has received what is committed (semi-synchronous)."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.primary = MariaDB(folder / "primary", 1, "primary")
        self.replica = MariaDB(folder / "replica", 2, "replica")

    @property
    def servers(self):
        return f"{self.primary.address},{self.replica.address}"

    def start(self):
        for one in (self.primary, self.replica):
            one.install().start()
        self.primary.run("CREATE USER replica@'127.0.0.1' IDENTIFIED BY "
                         f"'{REPLICA_PASSWORD}'; GRANT REPLICATION SLAVE ON *.* TO "
                         "replica@'127.0.0.1'", "")
        self.follow(self.replica, self.primary)
        wait_until(self.is_in_step, "a replica that follows", READY_SECONDS)
        return self

    @staticmethod
    def follow(replica, primary):
        replica.run(f"CHANGE MASTER TO master_host='127.0.0.1', master_port={primary.port}, "
                    f"master_user='replica', master_password='{REPLICA_PASSWORD}', "
                    "master_connect_retry=1, master_use_gtid=slave_pos; START SLAVE", "")

    def is_in_step(self):
        return (self.primary.variable("Rpl_semi_sync_master_status") == "ON" and
                int(self.primary.variable("Rpl_semi_sync_master_clients")) >= 1)

    def await_replica(self):
        """Until the replica has applied what the primary has committed."""
        position = self.primary.run("SELECT @@global.gtid_binlog_pos", "").strip()
        assert self.replica.run(f"SELECT MASTER_GTID_WAIT('{position}', 30)", "").strip() == "0"

    def promote(self):
        """The replica becomes a primary; what it has received is applied first."""
        self.replica.run("STOP SLAVE IO_THREAD", "")
        wait_until(lambda: "has read all relay log" in
                   self.replica.run("SHOW PROCESSLIST", ""), "an empty relay log", READY_SECONDS)
        self.replica.run("STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0", "")
        return self.replica

    def end(self):
        self.primary.end()
        self.replica.end()
