-- SPDX-License-Identifier: Apache-2.0
--
-- The tables of the record. docs/pipeline.md explains them to whoever asks them questions.
--
-- Oversell is impossible here on its own account: a coupon issued needs a row of coupons with its
-- serial (foreign key; there are as many as the stock), which one holder at a time can have (primary
-- key), and taken may not pass total (check). Times are milliseconds since 1970. log_off is a
-- record's offset in the one partition of the log; log_offsets says up to where the log has been
-- brought here, and moves in the same transaction as the rows.
--
-- Each statement ends with a semicolon at the end of a line, and may be made again: a migration that
-- was cut short begins anew.

CREATE TABLE IF NOT EXISTS events (
    event_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    total INT UNSIGNED NOT NULL,
    taken INT UNSIGNED NOT NULL DEFAULT 0,
    state VARCHAR(6) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    gen INT UNSIGNED NOT NULL,
    ver INT UNSIGNED NOT NULL,
    start_ms BIGINT NULL,
    end_ms BIGINT NULL,
    open_off BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (event_id),
    UNIQUE KEY uq_open (open_off),
    CONSTRAINT events_total CHECK (total >= 1),
    CONSTRAINT events_taken CHECK (taken <= total),
    CONSTRAINT events_state CHECK (state IN ('open', 'paused', 'closed')),
    CONSTRAINT events_times CHECK (start_ms IS NULL OR end_ms IS NULL OR start_ms < end_ms
        OR state = 'closed' AND start_ms = end_ms)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS coupons (
    event_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    serial INT UNSIGNED NOT NULL,
    round INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (event_id, serial),
    CONSTRAINT coupons_event FOREIGN KEY (event_id) REFERENCES events (event_id),
    CONSTRAINT coupons_serial CHECK (serial >= 1)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS user_coupons (
    event_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    serial INT UNSIGNED NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    claim_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    code VARCHAR(81) CHARACTER SET ascii COLLATE ascii_bin NULL,
    round INT UNSIGNED NOT NULL,
    gen INT UNSIGNED NOT NULL,
    claimed_ms BIGINT NOT NULL,
    log_off BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (event_id, serial),
    UNIQUE KEY uq_user (user_id, event_id),
    UNIQUE KEY uq_code (code),
    UNIQUE KEY uq_log (log_off),
    CONSTRAINT user_coupons_coupon FOREIGN KEY (event_id, serial)
        REFERENCES coupons (event_id, serial),
    CONSTRAINT user_coupons_user CHECK (user_id <> '')
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS user_coupons_history (
    event_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    serial INT UNSIGNED NOT NULL,
    round INT UNSIGNED NOT NULL,
    user_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    claim_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    code VARCHAR(81) CHARACTER SET ascii COLLATE ascii_bin NULL,
    gen INT UNSIGNED NOT NULL,
    claimed_ms BIGINT NOT NULL,
    log_off BIGINT UNSIGNED NOT NULL,
    returned_ms BIGINT NOT NULL,
    returned_off BIGINT UNSIGNED NOT NULL,
    operator VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    reason VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    PRIMARY KEY (event_id, serial, round),
    UNIQUE KEY uq_history_user (user_id, event_id),
    UNIQUE KEY uq_history_returned (returned_off),
    CONSTRAINT history_event FOREIGN KEY (event_id) REFERENCES events (event_id)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS log_offsets (
    topic VARCHAR(249) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    part INT UNSIGNED NOT NULL,
    next_off BIGINT UNSIGNED NOT NULL,
    last_crc INT UNSIGNED NOT NULL,
    owner_epoch BIGINT UNSIGNED NOT NULL,
    owner VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (topic, part)
) ENGINE = InnoDB;

-- What the log has and no row came of: void (a reservation that the judge refused, nobody was told),
-- or dead (no record, or of an event that nobody opened), which waits for a person until it is
-- replayed or resolved.
CREATE TABLE IF NOT EXISTS rejects (
    log_off BIGINT UNSIGNED NOT NULL,
    state VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    error VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    logged_ms BIGINT NOT NULL,
    rejected_ms BIGINT NOT NULL,
    raw MEDIUMBLOB NOT NULL,
    operator VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    note VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    settled_ms BIGINT NULL,
    PRIMARY KEY (log_off),
    KEY by_state (state, log_off),
    CONSTRAINT rejects_state CHECK (state IN ('void', 'dead', 'replayed', 'resolved'))
) ENGINE = InnoDB;
