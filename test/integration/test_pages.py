# SPDX-License-Identifier: Apache-2.0
"""The pages do what they say: every command of docs/getting-started.md and README.md is typed, every
link leads somewhere, every event of the log is explained, and the client of docs/clients.md claims."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess

import pytest
from harness import COUPOND, ROOT, count, sanitizer_of, wait_until

PAGES = ["docs/getting-started.md", "README.md"]
USERS = count(20000, 1000000)


def text_of(page):
    return (ROOT / page).read_text("utf-8")


def korean(page):
    return page.replace(".md", ".ko.md")


def commands_of(page):
    """Its indented lines that are commands, continued ones joined; not what a program answered."""
    lines = re.findall(r"(?m)^    (.*)$", text_of(page).replace("\\\n", ""))
    return [re.sub(r"  +", " ", re.sub(r"  +#.*", "", line)) for line in lines
            if re.match(r"(\./|build/|curl |sudo )", line)]


# ---- all commands, typed ----

STUBS = {
    "sudo": 'exec "$@"\n',
    "apt-get": "exit 0\n",  # it is here: ./check has brought it
    "systemctl": '[ "$1 $2" = "reload nginx" ] && exec "$REAL_NGINX" -p "$PLACE" -c nginx.conf\n',
    "nginx": 'exec "$REAL_NGINX" -p "$PLACE" -c nginx.conf "$@"\n',
}

NGINX = """pid nginx.pid;
error_log error.log;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  include conf.d/*.conf;
}
"""


def free_ports():
    """P, which with P + 1 is free for ./run --port P, and two others; below those that the kernel gives
    away, for ./run builds before it takes them."""
    while True:
        port = random.randrange(20000, 32000, 4)
        try:
            for number in range(port, port + 4):
                with socket.socket() as one:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    one.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port, port + 2, port + 3


class Clone:
    """A copy of the tree, its ./run, and an NGINX that others do not see."""

    def __init__(self, folder):
        self.tree, self.place = folder / "clone", folder / "nginx"
        self.port, self.web_port, self.tls_port = None, None, None
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(
            "build*", "data", ".git", "__pycache__", ".venv"))
        (self.place / "conf.d").mkdir(parents=True)
        (self.place / "nginx.conf").write_text(NGINX)
        stubs = folder / "bin"
        stubs.mkdir()
        for name, script in STUBS.items():
            (stubs / name).write_text("#!/bin/sh\n" + script)
            (stubs / name).chmod(0o755)
        self.environment = dict(
            os.environ, PATH=f"{stubs}:{os.environ['PATH']}", PLACE=str(self.place),
            REAL_NGINX=shutil.which("nginx") or "/usr/sbin/nginx")
        self.log = folder / "run.log"
        self.run = None

    def _here(self, text):
        """The same words with the ports and folders of this test."""
        for old, new in ((":8081", f":{self.port + 1}"), (":8080", f":{self.port}"),
                         (":80/", f":{self.web_port}/"), ("listen 80 ", f"listen {self.web_port} "),
                         (":443/", f":{self.tls_port}/"), ("listen 443 ", f"listen {self.tls_port} "),
                         ("/etc/nginx", str(self.place)), ("--users 1000000", f"--users {USERS}")):
            text = text.replace(old, new)
        if text.startswith("build/coupond event") or text.startswith("build/coupond load"):
            text = text.replace(" > ", f" --admin http://127.0.0.1:{self.port + 1} > ") if " > " in text \
                else f"{text} --admin http://127.0.0.1:{self.port + 1}"
        return text

    def start(self):
        """Once more where somebody else took the ports meanwhile; then it is built."""
        for _ in range(3):
            self.port, self.web_port, self.tls_port = free_ports()
            if self._is_started():
                break
        assert self.run.poll() is None, self.said()
        for conf in (self.tree / "deploy/nginx/coupond").iterdir():
            conf.write_text(self._here(conf.read_text()))

    def _is_started(self):
        with self.log.open("wb") as log:
            self.run = subprocess.Popen(["./run", "--port", str(self.port)], cwd=self.tree,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=self.environment)
        wait_until(lambda: "Ctrl-C ends" in self.said() or self.run.poll() is not None,
                   "./run to be ready", 600)
        return self.run.poll() is None

    def said(self):
        return self.log.read_text(errors="replace")

    def type(self, command):
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", self._here(command)], cwd=self.tree,
                              env=self.environment, capture_output=True, text=True, timeout=300,
                              check=False)
        assert done.returncode == 0, (command, done)
        return done.stdout + done.stderr

    def end(self):
        if self.run is not None and self.run.poll() is None:
            self.run.send_signal(signal.SIGINT)
            assert self.run.wait(60) == 0
        pid = self.place / "nginx.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    if sanitizer_of(COUPOND):
        pytest.skip("./run builds a program of its own")
    clone = Clone(tmp_path_factory.mktemp("clone"))
    try:
        clone.start()
        yield clone
    finally:
        clone.end()


SAID = {"--users": "verified: ", "/status/": '"total_stock":', "/user/": '"coupon_id":"',
        "/issue": '"success":true', "nginx -t": "successful"}


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_does_what_it_says(clone, page):
    typed = [command for command in commands_of(page) if command.split()[0] not in ("./run", "./check")
             and "data-cluster/" not in command]  # test_run_cluster.py types those
    assert len(typed) >= 8
    for command in typed:
        said = clone.type(command)
        for word, answer in SAID.items():
            assert word not in command or answer in said, (command, said)
    if page == PAGES[0]:
        winners = (clone.tree / "winners.csv").read_text().splitlines()
        assert len(winners) == 101 and winners[1].split(",")[:3] == ["first_drop", "1", "alice"]


@pytest.mark.parametrize("page", PAGES)
def test_the_korean_page_has_the_same_commands(page):
    assert commands_of(korean(page)) == commands_of(page)


# ---- what pages point at ----

def all_pages():
    return sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", map(str, all_pages()))
def test_every_link_leads_somewhere(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(page)):
        if not re.match(r"[a-z]+:", target):
            assert (folder / target).exists(), target


@pytest.mark.parametrize("page", ["docs/operations.md", "docs/operations.ko.md"])
def test_every_event_of_the_log_is_explained_and_no_other(page):
    logged = set()
    for path in [*ROOT.glob("src/**/*.c"), *ROOT.glob("lib/**/*.c")]:
        logged |= set(re.findall(r'"event=(\w+)', path.read_text("utf-8")))
    rows = re.findall(r"(?m)^\| (`\w+`(?:, `\w+`)*) \| (?:info|warn|error) \|", text_of(page))
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == logged


@pytest.mark.parametrize("page", ["docs/tuning.md", "docs/tuning.ko.md"])
def test_every_line_of_the_tuning_is_measured(page):
    measured = set(re.findall(r'(?m)^    \("([^"]+)", "', text_of("bench/measure/tuning.py")))
    rows = set(re.findall(r"(?m)^\|.*\| ([\w -]+) \|$", text_of(page)))
    assert rows - {"row of the table", "표의 행"} == measured


# ---- the client ----

def snippet(page):
    lines = text_of(page).split("\n")
    start = lines.index("    async function claim(url, user, event, patience = 60_000) {")
    return "\n".join(lines[start:lines.index("    }", start) + 1])


NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no Node")
def test_the_client_of_the_page_claims(shared):
    assert snippet("docs/clients.md") == snippet("docs/clients.ko.md")
    shared.create("EV", 1)
    shared.create("paused", 1)
    url = "http://{}:{}".format(*shared.ready.public)
    calls = [("ada", "EV", "console.log(a.result, a.serial)"), ("ada", "EV", "console.log(a.result)"),
             ("bob", "EV", "console.log(a.result, a.final)")]
    script = snippet("docs/clients.md") + "".join(
        f"\n{{ const a = await claim({url!r}, {user!r}, {event!r}); {then} }}"
        for user, event, then in calls)
    script += f"\nawait claim({url!r}, 'ada', 'nowhere').catch(e => console.log(e.message))"
    done = subprocess.run([NODE, "--input-type=module", "-e", script], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.stdout.split("\n")[:4] == [
        "issued 1", "already_issued", "sold_out true", "There is no event with this event_id."], done
