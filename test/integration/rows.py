# SPDX-License-Identifier: Apache-2.0
"""Looks into the copy in SQLite, and compares its rows with what the server says.

    check_copy   every row is what the server says, and there is no other
    await_copy   until all that is decided is in the file
    ask          a query and its rows
"""
import contextlib
import sqlite3

from client import EVENTS
from harness import READY_SECONDS, wait_until


def path_of(server):
    return server.data / "coupons.sqlite"


@contextlib.contextmanager
def database(path, **options):
    connection = sqlite3.connect(path, isolation_level=None, **options)
    try:
        yield connection
    finally:
        connection.close()


def ask(path, sql, *values):
    with database(path) as connection:
        return connection.execute(sql, values).fetchall()


def copy_of(server):
    return server.health()["copy"]


def await_copy(server, status="ok"):
    """Until all that is decided is in the file."""
    wait_until(lambda: copy_of(server)["status"] == status, f"copy {status}", READY_SECONDS)
    wait_until(lambda: copy_of(server)["records_behind"] == 0, "no record behind", READY_SECONDS)


def check_event(server, path, event):
    told = [(row["serial"], row["user_id"], row["coupon_id"]) for row in server.export(event)]
    rows = ask(path, "SELECT serial, user_id, code FROM user_coupons WHERE event_id = ? "
                     "ORDER BY serial", event)
    assert rows == told
    status = server.status_of(event)
    [(total, taken, coupons)] = ask(
        path, "SELECT total, taken, (SELECT count(*) FROM coupons c WHERE c.event_id = e.event_id) "
              "FROM events e WHERE event_id = ?", event)
    assert total == coupons == status["total_stock"]
    assert taken == len(rows) == status["total_participants"]


def check_copy(server, path=None):
    """Every row is what the server says, and there is no other; the file is whole."""
    path = path or path_of(server)
    await_copy(server)
    events = [event["event_id"] for event in server.admin("GET", EVENTS).json["events"]]
    assert sorted(events) == [name for name, in
                              ask(path, "SELECT event_id FROM events ORDER BY event_id")]
    for event in events:
        check_event(server, path, event)
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(path, "PRAGMA foreign_key_check") == []
