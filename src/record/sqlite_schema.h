/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of the copy in SQLite. docs/data.md explains them to whoever asks them questions.
 *
 * Oversell is impossible here on its own account: a coupon issued needs a row of `coupons` with its
 * serial (foreign key; there are N), which one holder at a time can have (primary key), and taken
 * may not pass total (check). Times are milliseconds since 1970; log_seq is a record's number in
 * the log.
 */
#pragma once

/* "Coup"; tells our file from the database of another program. */
#define SCHEMA_APPLICATION_ID 0x436f7570
#define SCHEMA_VERSION 1

/* clang-format off */
#define SCHEMA_SQL \
    "CREATE TABLE meta(" \
    "  id INTEGER PRIMARY KEY CHECK (id = 1)," \
    "  applied_seq INTEGER NOT NULL CHECK (applied_seq >= 0)," \
    "  applied_segment INTEGER NOT NULL," \
    "  applied_crc INTEGER NOT NULL" \
    ") STRICT;" \
    "CREATE TABLE events(" \
    "  event_id TEXT PRIMARY KEY," \
    "  total INTEGER NOT NULL CHECK (total >= 1)," \
    "  taken INTEGER NOT NULL DEFAULT 0," \
    "  state TEXT NOT NULL CHECK (state IN ('open', 'paused', 'closed'))," \
    "  gen INTEGER NOT NULL," \
    "  ver INTEGER NOT NULL," \
    "  start_ms INTEGER," \
    "  end_ms INTEGER," \
    "  open_seq INTEGER NOT NULL UNIQUE," \
    "  CHECK (taken BETWEEN 0 AND total)," \
    "  CHECK (start_ms < end_ms OR state = 'closed' AND start_ms = end_ms)" \
    ") STRICT, WITHOUT ROWID;" \
    "CREATE TABLE coupons(" \
    "  event_id TEXT NOT NULL REFERENCES events," \
    "  serial INTEGER NOT NULL CHECK (serial >= 1)," \
    "  round INTEGER NOT NULL DEFAULT 0 CHECK (round >= 0)," \
    "  PRIMARY KEY (event_id, serial)" \
    ") STRICT, WITHOUT ROWID;" \
    "CREATE TABLE user_coupons(" \
    "  event_id TEXT NOT NULL," \
    "  serial INTEGER NOT NULL," \
    "  user_id TEXT NOT NULL CHECK (user_id <> '')," \
    "  claim_id TEXT," \
    "  code TEXT UNIQUE," \
    "  round INTEGER NOT NULL," \
    "  gen INTEGER NOT NULL," \
    "  claimed_ms INTEGER NOT NULL," \
    "  log_seq INTEGER NOT NULL UNIQUE," \
    "  PRIMARY KEY (event_id, serial)," \
    "  UNIQUE (user_id, event_id)," \
    "  FOREIGN KEY (event_id, serial) REFERENCES coupons" \
    ") STRICT, WITHOUT ROWID;" \
    "CREATE TABLE user_coupons_history(" \
    "  event_id TEXT NOT NULL REFERENCES events," \
    "  serial INTEGER NOT NULL," \
    "  round INTEGER NOT NULL," \
    "  user_id TEXT NOT NULL," \
    "  claim_id TEXT," \
    "  code TEXT," \
    "  gen INTEGER NOT NULL," \
    "  claimed_ms INTEGER NOT NULL," \
    "  log_seq INTEGER NOT NULL," \
    "  returned_ms INTEGER NOT NULL," \
    "  returned_seq INTEGER NOT NULL UNIQUE," \
    "  operator TEXT," \
    "  reason TEXT," \
    "  PRIMARY KEY (event_id, serial, round)," \
    "  UNIQUE (user_id, event_id)" \
    ") STRICT, WITHOUT ROWID;" \
    "CREATE TRIGGER returned_is_returned BEFORE INSERT ON user_coupons" \
    "  WHEN EXISTS (SELECT 1 FROM user_coupons_history h" \
    "               WHERE h.user_id = NEW.user_id AND h.event_id = NEW.event_id)" \
    "  BEGIN SELECT RAISE(ABORT, 'this user has returned a coupon of this event'); END;" \
    "CREATE TRIGGER round_is_the_coupons BEFORE INSERT ON user_coupons" \
    "  WHEN NEW.round <> (SELECT c.round FROM coupons c" \
    "                     WHERE c.event_id = NEW.event_id AND c.serial = NEW.serial)" \
    "  BEGIN SELECT RAISE(ABORT, 'this coupon is in another round'); END;" \
    "INSERT INTO meta VALUES (1, 0, 0, 0);"
/* clang-format on */
