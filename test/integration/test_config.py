# SPDX-License-Identifier: Apache-2.0
"""`coupond config`: what holds, where it came from, and whether `serve` would take it."""
import json
import os

import pytest
from harness import option_table, run

USAGE = 2


@pytest.fixture
def clean():
    return {name: value for name, value in os.environ.items() if not name.startswith("COUPOND_")}


def shown(*words, environment):
    """{name: (value, origin)} as people and as machines see them; both are the same."""
    people = {}
    for line in run("config", *words, environment=environment).stdout.splitlines():
        if line and not line.startswith("#"):
            name, value, origin = line.split(None, 2)
            people[name] = (value, origin)
    rows = json.loads(run("config", "--json", *words, environment=environment).stdout)
    machines = {row["name"]: ("-" if row["value"] is None else row["value"],
                              " ".join(filter(None, [row["source"], row["origin"]]))) for row in rows}
    assert people == machines
    return people


def test_every_option_of_serve_has_its_default(clean, tmp_path):
    told = shown(environment=clean)
    rows = option_table("serve")
    assert list(told) == [row["name"] for row in rows]
    for row in rows:
        assert told[row["name"]] == (row["default"] or "-", "default")


def test_each_value_has_its_origin(clean, tmp_path):
    config = tmp_path / "coupond.conf"
    config.write_text("# of a test\n\nidle-timeout = 120\nthreads = 7\nstock = 5\nbody-max=2048\n")
    told = shown("--config", config, "--header-timeout=1500ms", "--listen", "[::1]:0",
                 environment=dict(clean, COUPOND_THREADS="3", COUPOND_BACKLOG="17",
                                  COUPOND_LISTEN="127.0.0.1:1", COUPOND_ADMIN_TOKEN="geheim"))
    wanted = {"config": (str(config), "flag --config"), "idle-timeout": ("2m", f"file {config}:3"),
              "body-max": ("2KiB", f"file {config}:6"), "threads": ("3", "environment COUPOND_THREADS"),
              "backlog": ("17", "environment COUPOND_BACKLOG"), "listen": ("[::1]:0", "flag --listen"),
              "header-timeout": ("1500ms", "flag --header-timeout"), "data-dir": ("data", "default")}
    assert {name: told[name] for name in wanted} == wanted
    told = shown(environment=dict(clean, COUPOND_CONFIG=str(config)))
    assert told["threads"] == ("7", f"file {config}:4")
    assert told["config"] == (str(config), "environment COUPOND_CONFIG")


def test_columns_are_aligned_under_headings(clean):
    lines = run("config", environment=clean).stdout.splitlines()
    assert "# doors" in lines and "" in lines
    rows = [line for line in lines if line and not line.startswith("#")]
    assert len({line.rindex("  ") for line in rows}) == 1
    assert len({len(line) - len(line.split(None, 1)[1]) for line in rows}) == 1


def test_the_secrets_of_the_table_are_marked_and_never_shown(clean):
    rows = {row["name"]: row for row in option_table()}
    assert rows["admin-token"]["secret"] and not rows["token-file"]["secret"]
    told = run("event", "list", "--admin", "http://127.0.0.1:1", "--admin-token", "geheim",
               status=None, environment=clean)
    assert "geheim" not in told.stdout + told.stderr


# What an option is nothing without.
BESIDE = {"jwt-keys": ["--auth", "jwt"],
          "redis": ["--mode", "cluster", "--kafka", "b:1"],
          "kafka": ["--mode", "cluster", "--redis", "a:1"],
          "redis-user": ["--redis-password-file", "p"],
          "redis-password-file": ["--redis-user", "u"]}


def test_it_says_what_serve_would_say(clean, tmp_path):
    """And takes all that serve takes; and makes nothing."""
    config = tmp_path / "c"
    config.write_text("idle-timeout = 0\n")
    for words in (["--threads", "99"], ["--listen", "x"], ["--config", config], ["--nonsense"],
                  ["--admin-listen="], ["--stock", "1"]):
        lines = [run(command, *words, status=USAGE, environment=clean).stderr
                 for command in ("serve", "config")]
        assert lines[0].replace("coupond serve", "coupond config") == lines[1]
        assert len(lines[1].splitlines()) == 1
    config.write_text("listen = nowhere\n")
    for command in ("serve", "config"):
        told = run(command, "--config", config, status=USAGE, environment=clean).stderr
        assert "--listen: nowhere is not an address" in told
    for row in option_table("serve"):
        value = row["default"] or "1"
        beside = BESIDE.get(row["name"], [])
        if row["name"] != "config":
            run("config", f"--{row['name']}={value}", *beside, environment=clean)
    assert "word" in run("config", "word", status=USAGE, environment=clean).stderr
    run("config", "--data-dir", tmp_path / "d", environment=clean)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name, bad, told", [
    ("trusted-proxies", "10.0.0.1/8", '"10.0.0.1/8" is not an address, nor a range'),
    ("trusted-proxies", "::1, proxy.example", '"proxy.example" is not an address'),
    ("trusted-proxies", "10.0.0.0/8,", None),
    ("trusted-proxies", ",".join(["::1"] * 65), "more than 64"),
    ("trusted-proxies", "", "at least one character"),
    ("cors-origin", "*", '"*" is not an origin'),
    ("cors-origin", "https://shop.example/", '"https://shop.example/" is not an origin'),
    ("cors-origin", ",".join(["https://a.b"] * 33), "more than 32"),
    ("cors-origin", "", "at least one character"),
    ("limit-address-rate", "0.001", "0.001 is not 0, nor 0.01 or more"),
    ("limit-address-rate", "1000001", "a decimal number from 0 to 1000000"),
    ("limit-address-burst", "0", "a number from 1 to 1000000"),
    ("limit-user-rate", "-1", "a decimal number from 0 to 1000000"),
    ("limit-user-rate", "0.009", "0.009 is not 0, nor 0.01 or more"),
    ("limit-user-burst", "1.5", "a number from 1 to 1000000"),
    ("limit-loopback", "yes", "true or false"),
])
def test_bad_values_of_the_gate(clean, name, bad, told):
    """One line that names the option; None: it is taken."""
    for command in ("serve", "config"):
        if told is None:
            run("config", f"--{name}={bad}", environment=clean)
            continue
        done = run(command, f"--{name}={bad}", status=USAGE, environment=clean)
        assert len(done.stderr.splitlines()) == 1
        assert f"--{name}: " in done.stderr and told in done.stderr


def test_keys_and_variables_of_others_are_no_mistake(clean, tmp_path):
    """--json is a file to load and a switch to config: neither finds the other's in a file."""
    config = tmp_path / "c"
    config.write_text("json = report.json\nraw = true\n")
    environment = dict(clean, COUPOND_JSON="report.json", COUPOND_TABLE="x")
    assert "listen" in shown("--config", config, environment=environment)
