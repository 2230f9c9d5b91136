# SPDX-License-Identifier: Apache-2.0
"""What each knob changes: the same server with it and without it, in turn. Knobs of the network are
turned in a network namespace of this process alone, which needs root; nothing of the machine is changed,
and without root their lines are left out."""
import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import re
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

import harness
from harness import Coupond

EVENT = "sold_event"
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1

# Before the server's command: what it inherits.
WITHOUT_HUGE_PAGES = [sys.executable, "-c", "import ctypes, os, sys\n"
                      "assert ctypes.CDLL(None).prctl(41, 1, 0, 0, 0) == 0  # PR_SET_THP_DISABLE\n"
                      "os.execv(sys.argv[1], sys.argv[1:])"]
WITH_FEW_FILES = [sys.executable, "-c", "import os, resource, sys\n"
                  "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))\n"
                  "os.execv(sys.argv[1], sys.argv[1:])"]
WITH_SOCKET = [sys.executable, "-c", "import os, sys\n"
               "os.dup2(int(sys.argv[1]), 3)\n"
               "os.environ.update(LISTEN_FDS='1', LISTEN_FDNAMES='public', LISTEN_PID=str(os.getpid()))\n"
               "os.execv(sys.argv[2], sys.argv[2:])"]


# ---- what is measured ----

def losers(server, options, cpu=None, url=None):
    """Losers a second, one request at a time on each connection."""
    found = harness.load(options.coupond, url or server.url, EVENT, 100_000, cpu=cpu, threads=1,
                         connections=options.connections, duration=f"{options.seconds * 1000:.0f}ms",
                         verify_export=False)
    return found["requests_per_second"]


def winners(server, options):
    """Winners a second, 1,024 waiting."""
    count = int(20_000 * options.seconds)
    server.create("win", count)
    found = server.load("win", count, connections=64, pipeline=16, threads=1)
    return found["requests_per_second"]


def slowest_of_a_burst(server, options):
    """Many connect at once while the server stands still for a moment; ms until the last has its answer."""
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    request = f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    os.kill(server.process.pid, signal.SIGSTOP)
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.callback(os.kill, server.process.pid, signal.SIGCONT)
        waiting = {}
        for n in range(options.burst):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.bind((f"127.1.0.{n % 200 + 1}", 0))
            assert sock.connect_ex((host, int(port))) in (0, errno.EINPROGRESS)
            waiting[sock.fileno()] = sock
        time.sleep(0.2)
        os.kill(server.process.pid, signal.SIGCONT)
        ask_and_await(waiting, request)
    return (time.monotonic() - start) * 1000


def ask_and_await(waiting, request, seconds=60):
    until = time.monotonic() + seconds
    with contextlib.closing(select.epoll()) as poll:
        for number in waiting:
            poll.register(number, select.EPOLLOUT)
        while waiting:
            if time.monotonic() > until:
                raise SystemExit(f"{len(waiting):,} connections were not answered in {seconds} s")
            for number, events in poll.poll(1):
                if events & select.EPOLLOUT:
                    waiting[number].send(request)
                    poll.modify(number, select.EPOLLIN)
                elif waiting[number].recv(4096):
                    poll.unregister(number)
                    del waiting[number]


def connections_at_most(server, _):
    text = harness.fetch(server.admin + "/metrics")
    return int(re.search(r"(?m)^coupond_connections_max (\d+)", text)[1])


def memory(server, options):
    """Anonymous memory in MiB, after work."""
    losers(server, options)
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1]) / 1024


# ---- how a side is set up ----

@contextlib.contextmanager
def plain(options, folder, *flags, **how):
    with Coupond(options.coupond, folder, *flags, name=fresh(folder), **how) as server:
        server.sell_out(EVENT)
        yield server


def fresh(folder):
    return f"data-{len(list(folder.iterdir()))}"


@contextlib.contextmanager
def with_one_socket(options, folder):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(4096)
        with plain(options, folder, wrapper=[*WITH_SOCKET, str(sock.fileno())],
                   pass_fds=(sock.fileno(),)) as server:
            yield server


@contextlib.contextmanager
def with_somaxconn(value, options, folder):
    path = pathlib.Path("/proc/sys/net/core/somaxconn")
    before = path.read_text()
    path.write_text(str(value))
    try:
        with plain(options, folder, "--threads", "1") as server:
            yield server
    finally:
        path.write_text(before)


PROXY = """daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream coupond {{ server {address}; {keepalive} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://coupond;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@contextlib.contextmanager
def behind_proxy(keepalive, options, folder):
    with plain(options, folder) as server:
        place = folder / fresh(folder)
        place.mkdir()
        port = harness.free_port()
        (place / "nginx.conf").write_text(PROXY.format(
            folder=place, port=port, keepalive=keepalive,
            address=server.url.removeprefix("http://")))
        log = place / "nginx.out"
        with log.open("w") as out:
            proxy = subprocess.Popen([harness.nginx_program(), "-p", str(place), "-c",
                                      str(place / "nginx.conf")], stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out)
        try:
            server.proxied = f"http://127.0.0.1:{port}"
            harness.wait_until(lambda: is_there(server.proxied), proxy, "nginx", log)
            yield server
        finally:
            harness.stop(proxy)


def is_there(url):
    with contextlib.suppress(OSError):
        return harness.fetch(url + "/livez") is not None
    return False


def flags(*words, **how):
    return lambda options, folder: plain(options, folder, *words, **how)


def bound(setup, value):
    return lambda options, folder: setup(value, options, folder)


# name, what is measured, its figure, (words, set-up) without and with, needs a namespace of our own
KNOBS = [
    ("threads", "losers/s", losers, ("--threads 1", flags("--threads", "1")),
     ("one for each processor", flags()), False),
    ("cores", "losers/s, generator on core 1",
     lambda server, options: losers(server, options, cpu=1),
     ("--threads 1, any core", flags("--threads", "1")),
     ("--threads 1 on core 0", flags("--threads", "1", cpu=0)), False),
    ("SO_REUSEPORT", "losers/s", losers, ("one socket, passed by systemd", with_one_socket),
     ("a socket for each thread", flags()), False),
    ("THP", "losers/s", losers, ("off for the process", flags(wrapper=WITHOUT_HUGE_PAGES)),
     ("as the machine has it", flags()), False),
    ("THP", "memory, MiB", memory, ("off for the process", flags(wrapper=WITHOUT_HUGE_PAGES)),
     ("as the machine has it", flags()), False),
    ("open files", "connections at most", connections_at_most,
     ("ulimit -n 1024", flags(wrapper=WITH_FEW_FILES)), ("all that may be had", flags()), False),
    ("backlog", "burst, ms to the last answer", slowest_of_a_burst,
     ("--backlog 128", flags("--threads", "1", "--backlog", "128")),
     ("--backlog 4096", flags("--threads", "1")), True),
    ("somaxconn", "burst, ms to the last answer", slowest_of_a_burst,
     ("net.core.somaxconn 128", bound(with_somaxconn, 128)),
     ("net.core.somaxconn 4096", bound(with_somaxconn, 4096)), True),
    ("proxy keepalive", "losers/s through NGINX",
     lambda server, options: losers(server, options, url=server.proxied),
     ("a connection for each request", bound(behind_proxy, "")),
     ("keepalive 256", bound(behind_proxy, "keepalive 256;")), False),
    ("journal-segment", "winners/s", winners, ("1MiB", flags("--journal-segment", "1MiB")),
     ("64MiB", flags()), False),
    ("sqlite", "winners/s", winners, ("a copy", flags()), ("none", flags("--sqlite", "none")), False),
]


def own_network():
    """True when this process and its children have a network of their own, with a loopback."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    pathlib.Path("/proc/sys/net/core/somaxconn").write_text("4096")
    return True


def measure(knob, options, folder):
    name, what, figure, *sides, _ = knob
    figures = [[], []]
    for pair in range(options.pairs):
        for i in ((0, 1) if pair % 2 == 0 else (1, 0)):
            with sides[i][1](options, folder) as server:
                figures[i].append(figure(server, options))
        harness.say(f"{name}, pair {pair + 1} of {options.pairs}: {what}: {figures[0][-1]:,.1f} with "
                    f"{sides[0][0]}, {figures[1][-1]:,.1f} with {sides[1][0]}")
    digits = 0 if statistics.median(figures[1]) > 100 else 1
    return (name, what, sides[0][0], harness.middle_words(figures[0], digits), sides[1][0],
            harness.middle_words(figures[1], digits),
            harness.ratio_words([b / a for a, b in zip(*figures)]))


def main():
    options = harness.arguments(
        __doc__, pairs=(5, "interleaved pairs for each knob"), seconds=(1.0, "length of one run"),
        connections=(64, "connections"), burst=(2000, "connections that are opened at once"),
        only=("", "the one knob to measure"))
    has_network = own_network()
    left_out = [knob[0] for knob in KNOBS if knob[-1] and not has_network]
    with harness.scratch() as folder:
        rows = [measure(knob, options, folder) for knob in KNOBS
                if knob[0] not in left_out and options.only in ("", knob[0])]
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    huge = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    notes = [f"Median (lowest to highest) of {options.pairs} interleaved pairs, a new server for each "
             f"figure; {options.connections} connections, one request at a time on each; a burst is "
             f"{options.burst:,} connections at once to a server that stands still for 0.2 s. Files at "
             f"most {files:,}; transparent huge pages {huge.split('[')[1].split(']')[0]}."]
    if left_out:
        notes.append(f"Left out, for want of root: {', '.join(left_out)}.")
    harness.report("tuning", options, ("knob", "measured", "without", "figure", "with", "figure",
                                       "with / without"), rows, notes,
                   [("nginx", harness.first_line(harness.nginx_program(), "-v"))])


if __name__ == "__main__":
    sys.exit(main())
