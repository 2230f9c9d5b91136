# SPDX-License-Identifier: Apache-2.0
"""The tables of the database: made by numbered migrations, refused when they are others, and with
constraints that make an oversell impossible without anybody's help.
"""
import subprocess

import pytest
from harness import run
from mariadb import DATABASE, PASSWORDS, MariaDB, Replicated, program

pytestmark = pytest.mark.mariadb

EVENT = ("INSERT INTO events(event_id, total, state, gen, ver, open_off) VALUES ('EV', 2, 'open', 1, 1, 0);"
         "INSERT INTO coupons(event_id, serial) VALUES ('EV', 1), ('EV', 2);")
MIGRATIONS = ["0001_tables"]


def holder(serial, user="u1", off=1, code="NULL"):
    return ("INSERT INTO user_coupons(event_id, serial, user_id, code, round, gen, claimed_ms, log_off) "
            f"VALUES ('EV', {serial}, '{user}', {code}, 0, 1, 0, {off})")


@pytest.fixture
def empty(mariadb):
    """Its users, and no table."""
    mariadb.drop()
    yield mariadb.make_users()
    mariadb.drop()


@pytest.fixture
def tables(empty):
    return empty.prepare()


def test_applied_once(empty):
    said = empty.schema("status", status=1).stdout
    assert said == "".join(f"missing  {name}\n" for name in MIGRATIONS)
    assert empty.schema().stdout.startswith(f"applied  {MIGRATIONS[0]}\n")
    before = empty.run("SELECT * FROM coupond_schema")
    said = empty.schema().stdout
    assert "applied " not in said and f"has all {len(MIGRATIONS)} migrations" in said
    assert empty.run("SELECT * FROM coupond_schema") == before
    assert empty.schema("status").stdout == "".join(f"applied  {name}\n" for name in MIGRATIONS)


def test_cut_short_and_made_again(empty):
    """What a crash between two statements leaves."""
    empty.schema()
    empty.run("DELETE FROM coupond_schema; DROP TABLE rejects, user_coupons")
    empty.schema()
    assert empty.number("SELECT COUNT(*) FROM information_schema.tables "
                        f"WHERE table_schema = '{DATABASE}'") == 7


def test_altered(tables):
    tables.run("UPDATE coupond_schema SET sha256 = REPEAT('0', 64)")
    for verb in ("status", "apply"):
        said = tables.schema(verb, status=1).stderr
        assert "0001_tables" in said and "altered" in said


def test_newer(tables):
    tables.run("INSERT INTO coupond_schema VALUES (2, '0002_of_tomorrow', REPEAT('0', 64), 0)")
    for verb in ("status", "apply"):
        said = tables.schema(verb, status=1).stderr
        assert "0002_of_tomorrow" in said and "newer" in said and "deploy" in said


def test_tables_of_another_program(empty):
    empty.run("CREATE TABLE events(id INT)")
    said = empty.schema(status=1).stderr
    assert "no migration has made" in said
    assert empty.run("SHOW TABLES") == "events\n"


def test_wrong_words(mariadb):
    assert "apply or status" in run("schema", "make", *mariadb.flags(), status=2).stderr
    assert "--database" in run("schema", "status", status=2).stderr
    for servers in ("localhost", ":3306", "h:0", "h:70000", "h:x"):
        assert "HOST:PORT" in run("schema", "status", "--database", servers, status=2).stderr


def test_nobody_there(mariadb):
    said = run("schema", "status", "--database", "127.0.0.1:1", status=1).stderr
    assert "127.0.0.1:1" in said and "cannot connect" in said


def test_password(tables, tmp_path):
    wrong = tmp_path / "password"
    wrong.touch(0o600)
    wrong.write_text("wrong\n")
    flags = ["--database", tables.address, "--database-user", "coupond_schema",
             "--database-password-file"]
    said = run("schema", "status", *flags, wrong, status=1).stderr
    assert "Access denied" in said and "wrong" not in said
    wrong.chmod(0o644)
    assert "chmod 600" in run("schema", "status", *flags, wrong, status=1).stderr


def refused(database, sql, number):
    done = database.client(sql, DATABASE)
    assert done.returncode != 0 and f"ERROR {number} " in done.stderr, (sql, done)


def test_no_oversell(tables):
    """I1 and I2, by the tables alone."""
    tables.run(EVENT)
    tables.run(holder(1))
    refused(tables, holder(1, "u2", 2), 1062)         # a serial twice
    refused(tables, holder(2, "u1", 2), 1062)         # a user twice
    refused(tables, holder(3, "u3", 2), 1452)         # a serial above the stock
    refused(tables, holder(2, "u2", 1), 1062)         # a record twice
    refused(tables, "UPDATE events SET taken = 3", 4025)
    refused(tables, "DELETE FROM coupons WHERE serial = 1", 1451)
    refused(tables, "UPDATE events SET total = 0", 4025)
    tables.run(holder(2, "U1", 2))                    # no folding of case
    tables.run("UPDATE events SET taken = 2")


def as_user(database, user, sql):
    """Over TCP, as the program does it."""
    return subprocess.run([program("mariadb"), "--no-defaults", "--batch", "--skip-column-names",
                           "--protocol=tcp", "--host=127.0.0.1", f"--port={database.port}",
                           f"--user={user}", f"--password={PASSWORDS[user]}", DATABASE],
                          input=sql, capture_output=True, text=True, check=False, timeout=30)


def test_rights(tables):
    """The consumer writes rows and no more; the reader reads."""
    tables.run(EVENT)
    assert as_user(tables, "coupond_consumer", holder(1)).returncode == 0
    for user, sql in [("coupond_consumer", "DROP TABLE rejects"),
                      ("coupond_consumer", "DELETE FROM events"),
                      ("coupond_consumer", "UPDATE user_coupons SET user_id = 'x'"),
                      ("coupond_consumer", "DELETE FROM rejects"),
                      ("coupond_consumer", "CREATE TABLE x(i INT)"),
                      ("coupond_reader", "UPDATE events SET taken = 0"),
                      ("coupond_reader", holder(2, "u2", 2))]:
        done = as_user(tables, user, sql)
        assert done.returncode != 0 and "ERROR 1142" in done.stderr, (user, sql, done)
    assert as_user(tables, "coupond_reader", "SELECT COUNT(*) FROM user_coupons").stdout == "1\n"


def test_replica_has_it_too(tmp_path_factory):
    pair = Replicated(tmp_path_factory.mktemp("replicated"))
    try:
        pair.start()
        pair.primary.prepare()
        pair.primary.run(EVENT + holder(1))
        pair.await_replica()
        assert pair.replica.ask("SELECT event_id, serial, user_id FROM user_coupons") == [
            ("EV", "1", "u1")]
        # A list of servers in any order leads a writer to the primary.
        servers = f"{pair.replica.address},{pair.primary.address}"
        flags = pair.primary.flags("coupond_schema", servers)
        assert pair.primary.address in run("schema", "apply", *flags).stdout
        flags = pair.primary.flags("coupond_schema", pair.replica.address)
        assert "read-only" in run("schema", "apply", *flags, status=1).stderr
        assert run("schema", "status", *flags).stdout == "applied  0001_tables\n"
    finally:
        pair.end()


def test_tls(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("tls")
    secure = MariaDB(folder, lines=[f"ssl_ca={certificates.ca}", f"ssl_cert={certificates.cert}",
                                    f"ssl_key={certificates.key}", "require_secure_transport=1"])
    try:
        secure.install().start()
        secure.make_users()
        flags = secure.flags("coupond_schema")
        assert "1" in run("schema", "status", *flags, status=1).stderr
        run("schema", "apply", *flags, "--database-ca", certificates.ca)
        other = type(certificates)(folder, "stranger", "127.0.0.1")
        said = run("schema", "status", *flags, "--database-ca", other.ca, status=1).stderr
        assert "cannot connect" in said
        assert "cannot read" in run("schema", "status", *flags, "--database-ca", "/nowhere.pem",
                                    status=2).stderr
    finally:
        secure.end()
