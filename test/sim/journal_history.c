/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbered records with a salt each: record i of the journal must carry number i and the salt of
 * the last attempt to write it.
 */
#include "sim/journal_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void journal_history_init(struct journal_history *history, uint64_t seed) {
    *history = (struct journal_history){0};
    random_sim_init(&history->random, seed);
}

void journal_history_deinit(struct journal_history *history) {
    free(history->salts);
}

void journal_history_copy(struct journal_history *to, const struct journal_history *from) {
    ASSERT(to->written == 0);
    free(to->salts);
    size_t bytes = from->capacity * sizeof(from->salts[0]);
    to->salts = malloc(bytes + 1);
    ASSERT(to->salts != NULL);
    if (bytes > 0) memcpy(to->salts, from->salts, bytes);
    to->capacity = from->capacity;
    to->written = from->written;
    to->acknowledged = from->acknowledged;
}

static uint64_t add_salt(struct journal_history *history) {
    if (history->written == history->capacity) {
        history->capacity = 2 * history->capacity + 256;
        size_t bytes = history->capacity * sizeof(history->salts[0]);
        history->salts = realloc(history->salts, bytes);
        ASSERT(history->salts != NULL);
    }
    uint64_t salt = random_sim_next(&history->random);
    history->salts[history->written++] = salt;
    return salt;
}

static size_t encode_next(struct journal_history *history, void *out) {
    uint64_t salt = add_salt(history);
    char user[USER_ID_BYTES_MAX + 1];
    snprintf(user, sizeof(user), "u%0*" PRIu64, (int)(salt % 60), salt % 7);
    const struct record win = {
        .type = RECORD_WIN,
        .event_id = SLICE("event"),
        .win = {.gen = 1,
                .serial = (uint32_t)history->written,
                .reserve_seq = salt,
                .user_id = slice_str(user)},
    };
    return record_encode(out, &win);
}

size_t journal_history_batch(struct journal_history *history, void *out, size_t bytes_max,
                             size_t count) {
    ASSERT(bytes_max >= count * RECORD_BYTES_MAX);
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += encode_next(history, (char *)out + bytes);
    return bytes;
}

void journal_history_acknowledge(struct journal_history *history) {
    history->acknowledged = history->written;
}

void journal_history_rewind(struct journal_history *history) {
    history->read = 0;
    history->last_seq = 0;
    history->wrong = NULL;
}

static const char *what_is_wrong(const struct journal_history *history, const struct record *record,
                                 struct slice encoded) {
    if (record->type != RECORD_WIN) return "a record of another type";
    if (history->read >= history->written) return "a record that was never written";
    if (record->win.serial != history->read + 1) return "a record in another place";
    if (record->win.reserve_seq != history->salts[history->read]) return "a stale record";
    if (record->seq <= history->last_seq) return "seq does not rise";
    if (encoded.n != record_padded_bytes(encoded.p)) return "encoded has another length";
    return NULL;
}

int journal_history_on_record(void *ctx, const struct record *record, struct slice encoded) {
    struct journal_history *history = ctx;
    if (history->wrong == NULL) history->wrong = what_is_wrong(history, record, encoded);
    history->last_seq = record->seq;
    history->read++;
    return 0;
}

const char *journal_history_settle(struct journal_history *history) {
    if (history->wrong == NULL && history->read < history->acknowledged)
        history->wrong = "an acknowledged record is lost";
    history->acknowledged = history->written = history->read;
    return history->wrong;
}
