# SPDX-License-Identifier: Apache-2.0
"""No event is opened while the settings of the topic or of Redis would lose its coupons (R7); those that
are open go on, and so does everything as soon as the setting is right again.
"""
import uuid

import pytest
from client import EVENTS, problem
from deployment import SECONDS, Deployment, ask
from harness import wait_until

pytestmark = [pytest.mark.redis, pytest.mark.kafka]

RIGHT = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false", "cleanup.policy": "delete",
         "retention.ms": "-1", "retention.bytes": "-1"}
WRONG = {"min.insync.replicas": "1", "unclean.leader.election.enable": "true", "cleanup.policy": "compact",
         "retention.ms": "60000", "retention.bytes": "100000000"}


@pytest.fixture
def deployment(servers, redis_cluster, kafka):
    return Deployment(servers, redis_cluster, kafka)


def create(server, event):
    return server.admin("POST", EVENTS, {"event_id": event, "total_stock": 3})


def create_another(server):
    return create(server, f"E-{uuid.uuid4().hex[:12]}")


def refusal(server, words):
    """What new events are answered, once it names what is wrong."""
    def is_told():
        response = create_another(server)
        return response if response.status == 503 and words in response.json["detail"] else None

    return wait_until(is_told, f"a refusal: {words}", SECONDS)


def opens(server, event):
    wait_until(lambda: create(server, event).status in (201, 409), f"{event} to be opened", SECONDS)


def test_no_event_on_a_topic_that_would_lose_it(deployment):
    server = deployment.start()
    server.create(deployment.event, 3)
    for name, value in WRONG.items():
        deployment.kafka.configure_topic(deployment.topic, **{name: value})
        said = problem(refusal(server, name), 503, "settings_wrong")
        assert said["detail"] == (
            f"No event is opened while this is so: kafka: topic {deployment.topic} has {name}={value} and must have "
            f"{RIGHT[name]}: change it, or name another topic (--kafka-topic)")
        assert "event=setting_wrong" in server.stderr()
        if name == "min.insync.replicas":
            told = server.event("create", "by-hand", "--stock", "3", status=1)
            assert f"has {name}={value}" in told.stderr and "(settings_wrong)" in told.stderr
            assert problem(create(server, deployment.event), 409, "event_exists")
            assert ask(server, "ada", deployment.event).json["serial"] == 1  # what is open goes on
        deployment.kafka.configure_topic(deployment.topic, **{name: RIGHT[name]})
        opens(server, f"after-{name.replace('.', '-')}")
    assert "event=setting_right of=topic" in server.stderr()
    assert problem(server.admin("GET", f"{EVENTS}/by-hand"), 404, "unknown_event", "event_id")
    server.stop()


def test_no_event_while_a_master_of_redis_evicts(deployment):
    """Whichever it is: the next event may be there."""
    server = deployment.start()
    for number, node in enumerate(deployment.redis.masters()):
        node("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            said = problem(refusal(server, node.address), 503, "settings_wrong")
        finally:
            node("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert said["detail"] == (
            f"No event is opened while this is so: redis: node {node.address} has maxmemory-policy=allkeys-lru and "
            "must have noeviction: change it")
        opens(server, f"{deployment.event}-{number}")
    replica = next(node for node in deployment.redis.nodes if not node.is_master())
    replica("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        server.create(deployment.event, 3)  # it hands out nothing yet
    finally:
        replica("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.stop()


def test_who_takes_over_is_asked(deployment):
    """A replica that evicts is nobody's trouble until it is a master."""
    server = deployment.start()
    old = deployment.redis.master_of(deployment.key)
    new = deployment.redis.replica_of(old)
    new("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    try:
        deployment.redis.failover(deployment.key)
        problem(refusal(server, f"{new.address} has maxmemory-policy=volatile-lru"), 503, "settings_wrong")
    finally:
        new("CONFIG", "SET", "maxmemory-policy", "noeviction")
    opens(server, deployment.event)
    deployment.redis.await_whole()


def test_what_cannot_be_asked_is_no_wrong_setting(deployment):
    """Brokers that are silent refuse an event in their own way, and hold up no end."""
    server = deployment.start()
    server.create(deployment.event, 3)
    for node in deployment.kafka.nodes:
        node.freeze()
    try:
        wait_until(lambda: "event=settings_not_asked" in server.stderr(), "a question without an answer", SECONDS)
        response = create(server, "later")
        assert response.status in (202, 503), response
        assert response.json.get("code", "busy") == "busy", response
        assert "event=setting_wrong" not in server.stderr()
    finally:
        for node in deployment.kafka.nodes:
            node.thaw()
    opens(server, "later")
    server.stop()
