/* SPDX-License-Identifier: Apache-2.0
 *
 * The topic of dead letters, `<topic>.dlt`: each record of the log that could not be brought into
 * the database, as it was, with headers that say why:
 *
 *     reason, error, topic, offset, logged_ms, record_version, attempts
 *
 * At least once: a consumer that died between this and its commit sends it again. What counts is in
 * the database; this is for whoever watches topics.
 */
#pragma once

#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"
#include "log/kafka.h"

struct dead_letters;

/* A producer of records that are to be acknowledged one by one. The options' texts must outlive it.
 */
int dead_letters_open(struct dead_letters **letters, const struct kafka_options *options,
                      struct err *err) MUST_CHECK;
void dead_letters_close(struct dead_letters *letters);
/* The name of their topic. */
const char *dead_letters_topic(const struct dead_letters *letters);

struct dead_letter {
    const char *reason, *error;
    uint64_t offset; /* in the log */
    int64_t logged_ms;
    uint32_t attempts;
    struct slice raw;
};

/* Waits until all in-sync replicas have it. 0, or a negative errno: it may be there all the same.
 */
int dead_letters_send(struct dead_letters *letters, const struct dead_letter *letter,
                      struct err *err) MUST_CHECK;

/* Puts a record into the log itself, which every reader judges anew: likewise. */
int dead_letters_replay(struct dead_letters *letters, struct slice event_id, struct slice record,
                        uint64_t nonce, struct err *err) MUST_CHECK;
