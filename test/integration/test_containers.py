# SPDX-License-Identifier: Apache-2.0
"""Dockerfile, docker-compose.yml and deploy/kubernetes, as far as they can be checked without an engine:
what they name is there, and what belongs together agrees. Where docker-compose is, it reads the file, too."""
import ipaddress
import os
import re
import shutil
import stat
import subprocess

import pytest
from harness import ROOT, option_table, run

# Of python3-yaml, which those parts of ./check bring that have tests here.
yaml = pytest.importorskip("yaml")

CONTAINERS = ROOT / "deploy" / "containers"
KUBERNETES = ROOT / "deploy" / "kubernetes"
SECRETS = "./deploy/containers/secrets/"
COMMANDS = {"serve", "consume", "schema", "event", "verify"}


def resolved(node):
    """With the default of each variable in its place."""
    if isinstance(node, dict):
        return {key: resolved(value) for key, value in node.items()}
    if isinstance(node, list):
        return [resolved(value) for value in node]
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", node) if isinstance(node, str) else node


COMPOSE = resolved(yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8")))
SERVICES = COMPOSE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
EVERY = pytest.mark.parametrize("name", SERVICES)


def of_coupond():
    return {name: service for name, service in SERVICES.items() if service["image"].startswith("coupond")}


def kind(prefix):
    return {name: service for name, service in SERVICES.items() if re.fullmatch(rf"{prefix}-\d", name)}


def address(service, network):
    return service["networks"][network]["ipv4_address"]


def command_line(name):
    """The words of coupond in a service, without the shell's."""
    return " ".join(SERVICES[name]["command"])


# ---- docker-compose.yml ----

def test_the_whole_pipeline_is_there():
    counts = {prefix: len(kind(prefix)) for prefix in ("serve", "consume", "redis", "kafka", "mariadb")}
    assert counts == {"serve": 2, "consume": 2, "redis": 6, "kafka": 3, "mariadb": 2}
    assert {"nginx", "prometheus"} <= set(SERVICES)
    assert "version" not in COMPOSE  # which Compose v2 complains of, and 1.29 does without


@EVERY
def test_a_service_is_watched_or_ends(name):
    service = SERVICES[name]
    health = service.get("healthcheck", {})
    if name in ONCE:
        assert health == {"disable": True}
    else:
        assert service["restart"] == "unless-stopped"
        assert health["test"][0] == "CMD" and health["retries"] >= 3 and "start_period" in health


@EVERY
def test_a_service_has_limits_and_no_rights(name):
    service = SERVICES[name]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    assert float(service["cpus"]) <= 1  # more than a small machine has is refused by the engine
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(service)
    assert service.get("user") != "root"
    assert service["logging"]["options"]["max-size"]


@EVERY
def test_no_service_is_given_a_secret_in_the_open(name):
    service = SERVICES[name]
    words = [*service.get("environment", {}), *service.get("command", [])]
    assert not [word for word in words if re.search(r"(?i)(password|token|secret)(?!-file=/)", word)]
    for secret in service.get("secrets", []):
        assert secret in COMPOSE["secrets"]


def test_secrets_are_files_that_are_nowhere_in_the_repository():
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": SECRETS + name}
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    folder = SECRETS.strip("./")
    assert f"/{folder}/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored.index(folder) > ignored.index("!deploy")


@EVERY
def test_what_is_mounted_is_there(name):
    for volume in SERVICES[name].get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists() and source.startswith("./deploy/") and mode == ["ro"], volume
        else:
            assert source in COMPOSE["volumes"] and mode == [], volume
        assert target.startswith("/")


@EVERY
def test_the_scripts_that_are_started_are_mounted(name):
    targets = {volume.split(":")[1] for volume in SERVICES[name].get("volumes", [])}
    words = SERVICES[name].get("entrypoint", []) + SERVICES[name].get("healthcheck", {}).get("test", [])
    assert {word for word in words if word.startswith("/etc/coupond/")} <= targets


def test_what_lasts_has_a_volume_of_its_own():
    named = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
             if not volume.startswith(".")]
    assert sorted(named) == sorted(COMPOSE["volumes"])
    assert set(named) == {*kind("serve"), *kind("redis"), *kind("kafka"), *kind("mariadb"), "prometheus"}


def test_only_the_gateway_is_open_to_others():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.pop("nginx") == ["80:80", "443:443"]
    assert ports and all(port.startswith("127.0.0.1:") for some in ports.values() for port in some)


def test_each_waits_for_what_it_needs():
    wants = {"service_healthy": set(SERVICES) - ONCE, "service_completed_successfully": ONCE}

    def reach(name, path=()):
        assert name not in path, f"{name} waits for itself"
        found = {name}
        for other, how in SERVICES[name].get("depends_on", {}).items():
            assert other in wants[how["condition"]], (name, other)
            found |= reach(other, (*path, name))
        return found

    all_parts = {*kind("redis"), *kind("kafka"), "redis-join"}
    assert reach("nginx") >= {"serve-1", "serve-2", *all_parts}
    assert reach("consume-2") >= {*all_parts, *kind("mariadb"), "database", "schema", "grants"}
    for name in SERVICES:
        reach(name)


def test_addresses_are_where_others_look_for_them():
    redis = [address(service, "back") for service in kind("redis").values()]
    assert SERVICES["redis-join"]["command"] == redis
    assert [service["command"] for service in kind("redis").values()] == [[one] for one in redis]
    fixed = {"front": [address(SERVICES["nginx"], "front"),
                       *(address(service, "front") for service in kind("serve").values())],
             "back": redis}
    for network, addresses in fixed.items():
        config = COMPOSE["networks"][network]["ipam"]["config"][0]
        assert len(set(addresses)) == len(addresses)
        for one in map(ipaddress.ip_address, addresses):
            assert one in ipaddress.ip_network(config["subnet"])
            assert one not in ipaddress.ip_network(config["ip_range"])
    assert f"--trusted-proxies={fixed['front'][0]}" in SERVICES["serve-1"]["command"]
    servers = re.findall(r"^server (\S+)", (CONTAINERS / "servers.conf").read_text(), re.MULTILINE)
    assert servers == [f"{name}:8080" for name in kind("serve")]


def test_nobody_in_front_reaches_what_is_behind():
    assert list(SERVICES["nginx"]["networks"]) == ["front"]
    for name, service in SERVICES.items():
        assert ("front" in service["networks"]) == (name == "nginx" or name in kind("serve")), name


def test_brokers_and_voters_are_each_other():
    for number, (name, service) in enumerate(kind("kafka").items(), 1):
        assert service["hostname"] == name
        assert service["command"] == [str(number), ",".join(
            f"{n}@{other}:9093" for n, other in enumerate(kind("kafka"), 1))]
    brokers = ",".join(f"{name}:9092" for name in kind("kafka"))
    for name in (*kind("serve"), *kind("consume"), "verify"):
        assert f"--kafka={brokers}" in SERVICES[name]["command"]
    assert "--redis=" + ",".join(f"{name}:6379" for name in kind("redis")) in command_line("serve-1")


def test_kafka_is_the_one_of_run_cluster():
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text()
    version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.+?)<", pom)[1]
    assert {service["image"] for service in kind("kafka").values()} == {f"apache/kafka:{version}"}


def test_prometheus_asks_everyone():
    folder = ROOT / "deploy" / "prometheus"
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    targets = {target for job in config["scrape_configs"] for some in job["static_configs"]
               for target in some["targets"]}
    assert targets == {f"{name}:8081" for name in kind("serve")} | {f"{name}:8080" for name in kind("consume")}
    rules = [rule for file in config["rule_files"]
             for rule in yaml.safe_load((folder / file).read_text())["groups"][0]["rules"]]
    assert len(rules) > 20


@pytest.mark.promtool
def test_promtool_has_nothing_to_say_of_the_settings():
    promtool = os.environ.get("COUPOND_PROMTOOL") or shutil.which("promtool")
    assert promtool, "promtool is part of Debian's package prometheus"
    done = subprocess.run([promtool, "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done


# ---- coupond's words ----

@pytest.mark.parametrize("name", of_coupond())
def test_every_option_is_one(name):
    line = command_line(name)
    command = re.search(rf"\b({'|'.join(COMMANDS)})\b", line)[1]
    known = {row["name"] for row in option_table(command)}
    known |= {f"no-{row['name']}" for row in option_table(command) if row["type"] == "switch"}
    asked = set(re.findall(r"--([a-z-]+)", line))
    assert asked <= known, asked - known
    for file in re.findall(r"-file=/var/lib/coupond/(\S+)", line):
        assert file in SERVICES[name]["secrets"]


def test_serve_takes_what_it_is_given():
    """`coupond config` checks values, too; files and folders are those of the container."""
    run("config", *SERVICES["serve-1"]["command"][1:])
    assert run("config", *SERVICES["serve-1"]["command"][1:], "--mode=clutser", status=None).returncode != 0


# ---- Dockerfile ----

def instructions():
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    return [line.split(None, 1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_image_is_built_in_one_stage_and_run_in_another():
    words = instructions()
    froms = [index for index, (word, _) in enumerate(words) if word == "FROM"]
    assert len(froms) == 2 and " AS build" in words[froms[0]][1]
    last = words[froms[1]:]
    given = {word: value for word, value in last}
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", given["USER"])
    assert "CMD [" in given["HEALTHCHECK"] and given["ENTRYPOINT"].startswith("[")
    assert given["VOLUME"] == "/var/lib/coupond"
    assert not [word for word, _ in words if word == "ADD"]
    assert not [value for word, value in last if word == "RUN" and "apt-get" in value and "rm -rf" not in value]
    for word, value in words:
        if word == "COPY" and not value.startswith("--from"):
            for source in value.split()[:-1]:
                assert (ROOT / source).exists(), source


def test_the_user_of_the_image_owns_the_folder_of_the_containers():
    """Of a volume by the image, whose folder it begins with; of memory by what is said here."""
    uid = dict(map(tuple, instructions()))["USER"].split(":")[0]
    for name, service in of_coupond().items():
        if any(one.endswith(":/var/lib/coupond") for one in service.get("volumes", [])):
            continue
        folder = next(one for one in service["tmpfs"] if one.startswith("/var/lib/coupond:"))
        assert f"uid={uid}," in folder and "mode=0700" in folder, name


# ---- scripts ----

def make_secrets(folder):
    subprocess.run([CONTAINERS / "make-secrets", folder], check=True, capture_output=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_make_secrets_makes_all_of_them_once(tmp_path):
    folder = tmp_path / "secrets"
    made = make_secrets(folder)
    assert set(made) == set(COMPOSE["secrets"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    assert not [name for name, text in made.items() if "@COUPOND" in text or "_PASSWORD@" in text]
    for name in ("code-1.key", "admin.token"):
        assert re.fullmatch(r"[0-9a-f]{64}\n", made[name])
    assert make_secrets(folder) == made
    (folder / "redis-coupond").unlink()
    again = make_secrets(folder)
    assert {name for name in made if made[name] != again[name]} == {"redis-coupond", "redis-users.acl"}


def test_healthy_tells_who_answers(server):
    def status(port, path):
        return subprocess.run([CONTAINERS / "healthy", str(port), path], capture_output=True,
                              check=False).returncode

    port = server.ready.public[1]
    assert status(port, "/readyz") == 0
    assert status(port, "/nothing") != 0
    server.stop()
    assert status(port, "/readyz") != 0


# ---- Kubernetes ----

def manifests():
    names = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert {path.name for path in KUBERNETES.iterdir()} == {*names, "kustomization.yaml", "secret.example.yaml"}
    return [one for name in names for one in yaml.safe_load_all((KUBERNETES / name).read_text())]


def test_manifests_name_options_and_secrets_that_there_are(tmp_path):
    kinds = {}
    for one in manifests():
        kinds.setdefault(one["kind"], []).append(one)
    options = {"COUPOND_" + row["name"].upper().replace("-", "_") for row in option_table()}
    data = kinds["ConfigMap"][0]["data"]
    assert set(data) <= options and all(isinstance(value, str) for value in data.values())
    run("config", environment={"PATH": os.environ["PATH"], **data})
    example = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())
    assert set(example["stringData"].values()) == {"PLACEHOLDER"}
    assert set(example["stringData"]) <= set(make_secrets(tmp_path / "secrets"))
    assert {one["metadata"]["name"] for one in kinds["Deployment"]} == {"serve", "consume"}
    for one in kinds["Deployment"]:
        pod = one["spec"]["template"]["spec"]
        secret = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == "secrets")
        assert secret["secretName"] == example["metadata"]["name"]
        assert {item["key"] for item in secret["items"]} <= set(example["stringData"])
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["enableServiceLinks"] is False  # a Service coupond would make variables COUPOND_…
        assert {"requests", "limits"} <= set(pod["containers"][0]["resources"])
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]


# ---- where there is docker-compose ----

def compose():
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    docker = shutil.which("docker")
    if docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [docker, "compose"]
    pytest.skip("no docker-compose here")


def test_docker_compose_reads_it():
    done = subprocess.run([*compose(), "-f", ROOT / "docker-compose.yml", "config"], capture_output=True,
                          text=True, check=False, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) >= set(SERVICES) - {"verify"}
