# SPDX-License-Identifier: Apache-2.0
"""The same pipeline as it is usually built: FastAPI, one Lua script on a Redis Cluster whose word is the
answer, winners into Kafka afterwards. What bench/cluster measures beside; written to be fast and
ordinary. Settings come from the environment: REDIS_NODES, REDIS_PASSWORD, KAFKA, TOPIC, and CACHE_SECONDS,
for which a worker remembers that an event is sold out (0: asks Redis each time).
"""
import contextlib
import datetime
import os
import time

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from fastapi import FastAPI, Response
from pydantic import BaseModel, StringConstraints
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import NoScriptError
from starlette.background import BackgroundTask
from typing_extensions import Annotated

SCRIPT = """
local held = redis.call('HGET', KEYS[2], ARGV[1])
if held then return {2, tonumber(held)} end
local stock = tonumber(redis.call('HGET', KEYS[1], 'stock') or '0')
local taken = tonumber(redis.call('HGET', KEYS[1], 'taken') or '0')
if taken >= stock then return {0, 0} end
taken = redis.call('HINCRBY', KEYS[1], 'taken', 1)
redis.call('HSET', KEYS[2], ARGV[1], taken)
return {1, taken}
"""
CACHE_SECONDS = float(os.environ.get("CACHE_SECONDS", "0"))
SOLD_OUT = orjson.dumps({"success": False, "result": "sold_out", "message": "All coupons are taken.",
                         "coupon_id": None, "remaining_stock": 0, "final": True})


class Claim(BaseModel):
    user_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    event_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Parts:
    """Made when the worker starts."""
    redis: RedisCluster
    sha: str
    kafka: AIOKafkaProducer
    sold_out_until: dict[str, float] = {}


def keys_of(event):
    return f"coupon:{{peer-{event}}}:m", f"coupon:{{peer-{event}}}:u"


async def make_topic():
    """As coupond's: three copies, two of which have to have a record."""
    admin = AIOKafkaAdminClient(bootstrap_servers=os.environ["KAFKA"])
    await admin.start()
    try:
        if os.environ["TOPIC"] not in await admin.list_topics():
            await admin.create_topics([NewTopic(os.environ["TOPIC"], 1, 3,
                                                topic_configs={"min.insync.replicas": "2"})])
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def lifespan(_):
    await make_topic()
    nodes = [node.rsplit(":", 1) for node in os.environ["REDIS_NODES"].split(",")]
    Parts.redis = RedisCluster(startup_nodes=[ClusterNode(host, int(port)) for host, port in nodes],
                               username="admin", password=os.environ["REDIS_PASSWORD"])
    Parts.sha = await Parts.redis.script_load(SCRIPT)
    Parts.kafka = AIOKafkaProducer(bootstrap_servers=os.environ["KAFKA"], acks="all",
                                   enable_idempotence=True, linger_ms=5)
    await Parts.kafka.start()
    yield
    await Parts.kafka.stop()
    await Parts.redis.aclose()


app = FastAPI(lifespan=lifespan)


async def decide(claim):
    keys = keys_of(claim.event_id)
    try:
        return await Parts.redis.evalsha(Parts.sha, 2, *keys, claim.user_id)
    except NoScriptError:
        return await Parts.redis.eval(SCRIPT, 2, *keys, claim.user_id)


def reply(body, background=None):
    return Response(body, media_type="application/json", background=background)


@app.post("/api/v1/coupons/issue")
async def issue(claim: Claim):
    now = time.monotonic()
    if CACHE_SECONDS and Parts.sold_out_until.get(claim.event_id, 0) > now:
        return reply(SOLD_OUT)
    code, serial = await decide(claim)
    if code == 0:
        Parts.sold_out_until[claim.event_id] = now + CACHE_SECONDS
        return reply(SOLD_OUT)
    coupon = {"success": True, "result": "issued" if code == 1 else "already_issued",
              "message": "The coupon is yours.", "event_id": claim.event_id, "user_id": claim.user_id,
              "coupon_id": f"PEER-{serial:020d}", "serial": serial,
              "issued_at": datetime.datetime.now(datetime.timezone.utc)
              .isoformat(timespec="milliseconds").replace("+00:00", "Z"),
              "remaining_stock": 0}
    body = orjson.dumps(coupon)
    return reply(body, BackgroundTask(Parts.kafka.send, os.environ["TOPIC"], body,
                                      claim.event_id.encode()) if code == 1 else None)


@app.post("/events/{event}/{stock}")
async def make(event: str, stock: int):
    await Parts.redis.hset(keys_of(event)[0], mapping={"stock": stock, "taken": 0})
    return Response(status_code=204)


@app.get("/api/v1/coupons/status/{event}")
async def status(event: str):
    stock, taken = await Parts.redis.hmget(keys_of(event)[0], "stock", "taken")
    stock, taken = int(stock or 0), int(taken or 0)
    return {"event_id": event, "total_stock": stock, "remaining_stock": stock - taken,
            "total_participants": taken, "status": "active" if taken < stock else "sold_out"}
