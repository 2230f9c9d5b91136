# SPDX-License-Identifier: Apache-2.0
"""What the measurements share: servers on free ports in temporary folders, the load generator,
pinning to processors, and a report that names the machine beside every figure.

Every process is started, waited for and stopped here, by its id.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results.md"
READY_SECONDS = 120


def say(text):
    print(text, flush=True)


# ---- command line ----

def arguments(description, **extra):
    """The options that every measurement has, and `extra` of the kind name=(default, help)."""
    name = "bench/" + pathlib.Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--coupond", default=str(ROOT / "build" / "coupond"), metavar="PROGRAM",
                        help="the program to measure (built first when not given)")
    parser.add_argument("--no-install", action="store_true",
                        help="only print the command that would install what is missing")
    parser.add_argument("--save", action="store_true", help="also write the report to bench/results.md")
    for name, (default, text) in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default,
                            help=f"{text} ({default})")
    options = parser.parse_args()
    options.coupond = str(pathlib.Path(options.coupond).resolve())
    set_up_process()
    return options


def set_up_process():
    """All the files that we may open, and none of the caller's own settings for coupond."""
    for name in [name for name in os.environ if name.startswith("COUPOND_")]:
        del os.environ[name]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ---- processes ----

def pinned(cpu):
    """For preexec_fn: the child (and its threads) on one processor, where there is more than one."""
    if cpu is None or os.cpu_count() < 2:
        return None
    return lambda: os.sched_setaffinity(0, {cpu})


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def scratch():
    """A folder on the disk of the checkout: /tmp may be memory, where a sync costs nothing."""
    (ROOT / "build").mkdir(exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=ROOT / "build"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def server_pid(process):
    """The server itself: strace, unlike valgrind, is a process beside it and ignores SIGTERM."""
    if process.args[0] != "strace":
        return process.pid
    return children_of(process.pid)[0]


def children_of(pid):
    return [int(word) for word in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def processor_seconds(pid):
    """Used so far by a process and its children that live, user and system together."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return ((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            + sum(processor_seconds(child) for child in children_of(pid)))


def stop(process, seconds=60):
    """SIGTERM, then patience, then SIGKILL; its exit status."""
    if process.poll() is None:
        os.kill(server_pid(process), signal.SIGTERM)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise SystemExit(f"process {process.pid} did not end within {seconds} s of SIGTERM")


def wait_until(condition, process, what, log):
    until = time.monotonic() + READY_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{what} did not become ready:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


class Coupond:
    """A running `coupond serve`. `wrapper` is put before its command (valgrind, strace); `pass_fds`
    stay open in it."""

    def __init__(self, program, folder, *flags, cpu=None, wrapper=(), name="data", pass_fds=()):
        self.program, self.data = program, folder / name
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.log = folder / f"{name}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*wrapper, program, "serve", "--listen", "127.0.0.1:0", "--admin-listen",
                 "127.0.0.1:0", "--data-dir", str(self.data), *flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=pinned(cpu),
                pass_fds=pass_fds)
        try:
            wait_until(self.is_ready, self.process, "coupond", self.log)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def is_ready(self):
        found = re.search(r"^ready listen=(\S+) admin_listen=(\S+)", self.log.read_text(), re.M)
        if found:
            self.url, self.admin = "http://" + found[1], "http://" + found[2]
        return found is not None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.status = stop(self.process)

    def create(self, event, stock):
        run([self.program, "event", "create", event, "--stock", str(stock), "--reason", "measurement",
             "--data-dir", str(self.data), "--admin", self.admin])

    def load(self, event, users, cpu=None, **flags):
        return load(self.program, self.url, event, users, cpu=cpu, admin=self.admin,
                    data_dir=str(self.data), **flags)

    def sell_out(self, event, stock=1, **flags):
        """An event of which everything is gone, so that each new user is told sold out."""
        self.create(event, stock)
        self.load(event, stock + 100, connections=4, **flags)


NGINX = """daemon off;
master_process {master};
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  default_type application/json;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 '{body}'; }}
    location /api/v1/coupons/status/ {{ return 200 '{status}'; }}
  }}
}}
"""


class Nginx:
    """nginx that answers every request with `body`, a constant: the yardstick. `status` is what it
    says of an event, so that the same generator, with the same checks, drives both servers."""

    def __init__(self, folder, body, status, cpu=None, wrapper=(), is_single=False):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "nginx.out"
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(master="off" if is_single else "on", folder=folder, port=port,
                                       body=body.replace("'", "\\'"), status=status))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*wrapper, nginx_program(), "-p", str(folder), "-c", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=pinned(cpu))
        wait_until(self.is_ready, self.process, "nginx", self.log)

    def is_ready(self):
        with contextlib.suppress(OSError):
            return fetch(self.url + "/") is not None
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


def nginx_program():
    return shutil.which("nginx") or "/usr/sbin/nginx"


def run(command, cpu=None, may_fail=False):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, preexec_fn=pinned(cpu))
    if done.returncode != 0 and not may_fail:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def load_command(program, url, event, users, report, **flags):
    command = [program, "load", "--url", url, "--event", event, "--users", str(users),
               "--json", str(report)]
    for name, value in flags.items():
        name = "--" + name.replace("_", "-")
        if value is False:
            command.append("--no-" + name[2:])
        else:
            command += [name] if value is True else [name, str(value)]
    return command


def load(program, url, event, users, cpu=None, **flags):
    """Runs the load generator to its end and returns its report; a finding ends the measurement."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "load.json"
        run(load_command(program, url, event, users, report, **flags), cpu=cpu)
        return json.loads(report.read_text())


def fetch(url, body=None):
    request = urllib.request.Request(url, data=body, method="POST" if body else "GET",
                                     headers={"Content-Type": "application/json"} if body else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def claim(url, event, user):
    return fetch(url + "/api/v1/coupons/issue",
                 json.dumps({"user_id": user, "event_id": event}).encode())


# ---- figures ----

def ratio_words(ratios, digits=2):
    return (f"{statistics.median(ratios):.{digits}f} "
            f"({min(ratios):.{digits}f} to {max(ratios):.{digits}f})")


def middle_words(values, digits=0):
    return (f"{statistics.median(values):,.{digits}f} "
            f"({min(values):,.{digits}f} to {max(values):,.{digits}f})")


def first_line(*command):
    with contextlib.suppress(OSError, SystemExit):
        return (run(list(command), may_fail=True).splitlines() or ["?"])[0].strip()
    return "not installed"


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    disk = first_line("stat", "-f", "-c", "%T", str(ROOT))
    return (f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} processors, {memory:.0f} GiB, "
            f"{system[1] if system else 'Linux'}, Linux {platform.release()}, file system {disk}")


def report(name, options, columns, rows, notes=(), versions=()):
    """Prints the figures as a table (and keeps it when asked). `rows` are tuples of text."""
    known = [("coupond", first_line(options.coupond, "--version")), *versions]
    command = "bench/" + " ".join([name, *(word for word in sys.argv[1:]
                                           if word not in ("--save", "--no-install"))])
    lines = [f"## {name}", "", f"`{command}`, {datetime.date.today().isoformat()}", "",
             f"- machine: {machine()}", *(f"- {key}: {value}" for key, value in known), "",
             *table(columns, rows), "", *notes]
    text = "\n".join(lines).rstrip() + "\n"
    say("\n" + text)
    if options.save:
        save(name, text)


def table(columns, rows):
    """The lines of a table in Markdown; all cells are text."""
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    return [table_row(columns, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|",
            *(table_row(row, widths) for row in rows)]


def table_row(cells, widths):
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"


def save(name, text):
    """Replaces the section of this measurement in bench/results.md; the others stay."""
    old = RESULTS.read_text() if RESULTS.exists() else "# Results\n\nWritten by `bench/NAME --save`.\n"
    head, *sections = re.split(r"(?m)^(?=## )", old)
    kept = {section.split("\n", 1)[0][3:].strip(): section.rstrip() + "\n" for section in sections}
    kept[name] = text
    RESULTS.write_text(head.rstrip() + "\n\n" + "\n".join(kept[key] for key in sorted(kept)))
