/* SPDX-License-Identifier: Apache-2.0
 *
 * All that Kafka had is lost. What the log said is written again, into an empty topic, as far as
 * the database, the servers' audits and Redis know it (claim/log_plan.h); then the database is made
 * anew from it, so that rows and log are of one kind.
 *
 *     sources -> plan -> topic, read back and held against the plan -> database emptied -> its rows
 *
 * Killed while the topic is written: what is there has to be the begin of the same plan, and is
 * gone on with. Killed later: the topic is whole, and the database's place says how far it has
 * come. The sources are not touched before the topic is whole.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "claim/log_plan.h"
#include "lib/clock.h"
#include "lib/failpoint.h"
#include "lib/hash.h"
#include "lib/random.h"
#include "log/kafka_log.h"
#include "log/kafka_read.h"
#include "log/record.h"
#include "rebuild.h"
#include "record/mariadb_read.h"
#include "verify/audits.h"

enum { BROKERS_WAIT_MS = 10000, FLUSH_MS = 1000, TURN_MS = 100 };

struct work {
    struct rebuild *rebuild;
    struct code_keys keys;
    struct maria_reader copy;
    struct log_place place; /* of the copy, in the lost log or in the one that is there */
    struct log_plan *plan;
    struct log_plan_counts counts;
    struct audits audits;
    struct snapshots redis;
    uint64_t redis_seen; /* what it looked like, in one number */
    struct err *err;

    /* What the topic has. */
    bool is_missing, is_ours, is_of_place;
    uint64_t records;
    uint64_t announced; /* by its first record: so many were to be written */
    int64_t made_ms;    /* of its first record */

    /* Writing. */
    struct kafka_log *log;
    uint64_t read; /* records that came back, all as planned */
    bool is_strange;
    int failed;
};

/* ---- What the topic has ---- */

static int look_at(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value) {
    struct work *work = ctx;
    _Alignas(RECORD_ALIGN) char bytes[RECORD_BYTES_MAX];
    struct record record = {0};
    (void)logged_ms;
    work->records = offset + 1;
    if (record_read(bytes, value, &record) != RECORD_OK) return 0;
    if (offset == 0) {
        work->is_ours = log_plan_is_first(&record, &work->announced);
        work->made_ms = record.ms;
    }
    if (offset + 1 == work->place.seq) work->is_of_place = record_crc(bytes) == work->place.crc;
    return 0;
}

static int look_at_topic(struct work *work, struct err *err) {
    const struct kafka_options *kafka = &work->rebuild->kafka.options;
    int code = kafka_topic_ensure(kafka, false, BROKERS_WAIT_MS, err);
    work->is_missing = code == -ENOENT;
    if (work->is_missing) return 0;
    if (code == 0) code = kafka_read(kafka, work->rebuild->timeout_ms, look_at, work, err);
    if (code != 0 || work->records == 0 || work->is_ours) return code;
    return err_set(err, -EEXIST,
                   "refused, nothing was changed: topic %s has %" PRIu64
                   " records that no rebuild wrote: %s",
                   kafka->topic, work->records,
                   work->is_of_place ? "the database follows them, so this log is not lost"
                                     : "name or make an empty topic");
}

/* The log was made, and the database begun by it. */
static bool is_written(const struct work *work) {
    return work->records > 0 && work->records >= work->announced &&
           (work->place.seq == 0 || work->is_of_place);
}

/* ---- Sources ---- */

static int read_copy(struct work *work, struct err *err) {
    if (work->place.seq == 0)
        return err_set(err, -ENOENT,
                       "refused, nothing was changed: the database has recorded nothing of topic "
                       "%s: there is nothing to make a log of",
                       work->rebuild->kafka.options.topic);
    return maria_reader_rows(&work->copy, log_plan_row, work->plan, err);
}

static void on_told(void *ctx, const struct audit_line *told) {
    struct work *work = ctx;
    log_plan_told(work->plan, told->event_id, told->user_id,
                  told->serial > UINT32_MAX ? UINT32_MAX : (uint32_t)told->serial, told->seq);
}

static int read_audits(struct work *work, struct err *err) {
    const struct rebuild *rebuild = work->rebuild;
    const char *first = options_get(rebuild->options, "audit")->text;
    if (first == NULL && rebuild->words > 0)
        return err_set(err, -EINVAL, "unexpected word %s: files follow --audit FILE",
                       rebuild->word[0]);
    if (first == NULL) return 0;
    int code = audits_open(&work->audits, first, err);
    for (int i = 0; i < rebuild->words && code == 0; i++)
        code = audits_open(&work->audits, rebuild->word[i], err);
    if (code == 0)
        code = audits_read(&work->audits, rebuild->kafka.options.topic, on_told, work, err);
    return code;
}

/* ---- Redis: what it has, and whether it stands still ---- */

struct seeing {
    struct log_plan_reserve reserve;
    struct reserve_sink into; /* the plan; .ctx NULL: only looked at */
    uint64_t sum;
};

static void on_state(void *ctx, const struct reserve_state *state) {
    struct seeing *seeing = ctx;
    const int64_t numbers[] = {state->is_there, state->gen, state->ver, state->next};
    for (size_t i = 0; i < ARRAY_LEN(numbers) && state->is_there; i++)
        seeing->sum = hash_mix(seeing->sum, (uint64_t)numbers[i]);
    if (seeing->into.ctx != NULL) seeing->into.on_state(seeing->into.ctx, state);
}

static void on_holder(void *ctx, const struct reserve_holder *holder) {
    static const struct hash_key unkeyed = {{0, 0}};
    struct seeing *seeing = ctx;
    seeing->sum += hash_mix(hash_slice(&unkeyed, holder->user_id), (uint64_t)holder->serial);
    if (seeing->into.ctx != NULL) seeing->into.on_holder(seeing->into.ctx, holder);
}

static int look_at_redis(struct work *work, bool is_source, uint64_t *sum, struct err *err) {
    struct seeing seeing = {0};
    struct slice id;
    int code = 0;
    for (uint32_t n = 0; code == 0 && log_plan_event(work->plan, n, &id); n++) {
        if (is_source) seeing.into = log_plan_reserve_sink(&seeing.reserve, work->plan, n);
        const struct reserve_sink sink = {
            .ctx = &seeing, .on_state = on_state, .on_holder = on_holder};
        code = snapshots_read(&work->redis, id, &sink, err);
    }
    *sum = seeing.sum;
    return code;
}

static int check_still(struct work *work, const char *when, struct err *err) {
    uint64_t sum;
    int code = look_at_redis(work, false, &sum, err);
    if (code != 0 || sum == work->redis_seen) return code;
    return err_set(err, -EBUSY, "%s: Redis has changed meanwhile: a server is alive: stop it",
                   when);
}

/* Servers are in no group; one that is at work is seen by what it does. */
static int read_redis(struct work *work, struct err *err) {
    const struct rebuild *rebuild = work->rebuild;
    if (rebuild->redis.seeds == NULL) return 0;
    const struct snapshots_options redis =
        redis_settings_snapshots(&rebuild->redis, rebuild->timeout_ms);
    int code = snapshots_open(&work->redis, &redis, err);
    if (code == 0) code = look_at_redis(work, true, &work->redis_seen, err);
    if (code != 0) return code;
    (void)poll(NULL, 0, (int)options_get(rebuild->options, "recheck-after")->number);
    return check_still(work, "refused, nothing was changed", err);
}

/* ---- The plan ---- */

static int make_plan(struct work *work, struct err *err) {
    struct err why = {0};
    int64_t made_ms = work->records > 0 ? work->made_ms : clock_wall_ms(&clock_system);
    int code = log_plan_make(work->plan, made_ms, &work->counts, &why);
    if (code != 0) return err_set(err, code, "refused, nothing was changed: %.450s", why.text);
    if (work->counts.dead_letters == 0) return 0;
    return err_set(err, -EEXIST,
                   "refused, nothing was changed: %" PRIu64
                   " dead letters wait, and the new log has none of them: coupond dlt show each, "
                   "and resolve it",
                   work->counts.dead_letters);
}

static void say_plan(const struct work *work) {
    const struct log_plan_counts *counts = &work->counts;
    rebuild_say("log: writes %zu records of %u events into topic %s, %" PRIu64
                " of which are there: %" PRIu64 " coupons of the database, %" PRIu64
                " that only audits know, %" PRIu64 " that only Redis has",
                log_plan_count(work->plan), counts->events, work->rebuild->kafka.options.topic,
                work->records, counts->copied, counts->told, counts->reserved);
    if (work->rebuild->redis.seeds == NULL)
        rebuild_say("log: without --redis what only Redis has is lost");
    if (work->audits.count == 0)
        rebuild_say("log: without --audit who was told and is nowhere else is lost");
    if (counts->unknown_returns > 0)
        rebuild_say("log: %" PRIu64
                    " users gave a coupon back that nobody knows any more: they may claim again",
                    counts->unknown_returns);
    if (counts->guessed_codes > 0)
        rebuild_say("log: %" PRIu64
                    " events without a coupon get the default format of codes and the newest key",
                    counts->guessed_codes);
}

/* ---- Writing ---- */

/* Whatever is in the topic has to be the plan, from its begin. */
static void on_record(void *ctx, uint64_t seq, uint64_t nonce, struct slice value) {
    struct work *work = ctx;
    (void)nonce;
    bool is_planned = seq <= log_plan_count(work->plan) && seq == work->read + 1 &&
                      slice_eq(log_plan_at(work->plan, seq - 1).value, value);
    if (is_planned && !work->is_strange)
        work->read = seq;
    else
        work->is_strange = true;
}

static void on_delivered(void *ctx, uint64_t nonce, int code) {
    struct work *work = ctx;
    (void)nonce;
    if (code != 0) work->failed = code;
}

static int check_topic(const struct work *work, struct err *err) {
    if (work->is_strange)
        return err_set(err, -EEXIST,
                       "topic %s: what is at offset %" PRIu64
                       " is not what these sources say: somebody else writes, or the sources have "
                       "changed since a rebuild began: stop all, make the topic anew, and run this "
                       "again",
                       work->rebuild->kafka.options.topic, work->read);
    if (work->failed == 0) return 0;
    return err_set(err, work->failed, "the brokers do not take the records: %s: run this again",
                   strerror(-work->failed));
}

static void turn(struct work *work) {
    struct pollfd readable = {.fd = kafka_log_fd(work->log), .events = POLLIN};
    (void)poll(&readable, 1, TURN_MS);
    kafka_log_pump(work->log);
    if (rebuild_is_slow(work->rebuild))
        rebuild_say("log: %" PRIu64 " of %zu records", work->read, log_plan_count(work->plan));
}

/* One after the other, until all have come back. */
static int write_rest(struct work *work, struct err *err) {
    size_t count = log_plan_count(work->plan);
    uint64_t now = clock_monotonic_ns(&clock_system), moved_ns = now, before = work->read;
    int code = check_topic(work, err);
    for (size_t next = work->read; code == 0 && work->read < count;) {
        while (next < count) {
            struct log_plan_record record = log_plan_at(work->plan, next);
            if (kafka_log_produce(work->log, record.event_id, record.value, next + 1) != 0) break;
            FAILPOINT("rebuild_produced");
            next++;
        }
        turn(work);
        code = check_topic(work, err);
        now = clock_monotonic_ns(&clock_system);
        if (work->read != before) moved_ns = now;
        before = work->read;
        if (code == 0 && now - moved_ns > work->rebuild->timeout_ms * UINT64_C(1000000))
            code = err_set(err, -ETIMEDOUT, "the records do not come back: run this again");
    }
    return code;
}

static int write_log(struct work *work, struct err *err) {
    const struct kafka_log_sink sink = {work, on_record, on_delivered};
    rebuild_begins(work->rebuild);
    int code = kafka_topic_ensure(&work->rebuild->kafka.options, true, BROKERS_WAIT_MS, err);
    FAILPOINT("rebuild_topic_made");
    if (code == 0) code = kafka_log_open(&work->log, &work->rebuild->kafka.options, &sink, err);
    if (code == 0) code = kafka_log_replay(work->log, work->rebuild->timeout_ms, NULL, err);
    if (code == 0) code = write_rest(work, err);
    if (code == 0 && work->rebuild->redis.seeds != NULL)
        code = check_still(work, "the log is written, and not to be used", err);
    if (work->log != NULL) kafka_log_close(work->log, FLUSH_MS);
    if (code == 0) rebuild_say("log: all %zu records are in it", log_plan_count(work->plan));
    FAILPOINT("rebuild_log_written");
    return code;
}

/* ---- All of it ---- */

static int prepare(struct work *work, struct err *err) {
    const struct rebuild *rebuild = work->rebuild;
    const char *folder = options_get(rebuild->options, "data-dir")->text;
    struct hash_key key;
    uint64_t server;
    random_fill(&random_system, &key, sizeof key);
    int code = code_keys_load(&work->keys, folder, false, &random_system, err);
    if (code == 0) code = rebuild_check_consumers(rebuild, err);
    if (code != 0) return code;
    work->plan = log_plan_new(&work->keys, &key);
    work->copy = (struct maria_reader){.topic = rebuild->kafka.options.topic,
                                       .db = maria_new(&rebuild->database.options)};
    if (work->plan == NULL || work->copy.db == NULL)
        return err_set(err, -ENOMEM, "no memory to read the database");
    code = maria_reader_open(&work->copy, &work->place, &server, err);
    if (code == 0) code = look_at_topic(work, err);
    return code;
}

static int read_sources(struct work *work, struct err *err) {
    int code = read_copy(work, err);
    maria_reader_close(&work->copy);
    if (code == 0) code = read_audits(work, err);
    if (code == 0) code = read_redis(work, err);
    if (code == 0) code = make_plan(work, err);
    return code;
}

static int run(struct work *work, struct err *err) {
    const struct recording_place place = {.seq = work->place.seq, .crc = work->place.crc};
    if (is_written(work)) {
        rebuild_say("log: topic %s was made by a rebuild, and the database follows it already",
                    work->rebuild->kafka.options.topic);
        return rebuild_database_follow(work->rebuild, &place, false, err);
    }
    int code = read_sources(work, err);
    if (code != 0) return code;
    say_plan(work);
    code = write_log(work, err);
    if (code == 0) code = rebuild_database_follow(work->rebuild, &place, true, err);
    if (code == 0)
        rebuild_say("log: done: start consumers and servers; Redis is put right by the first "
                    "claims, or now by --rebuild redis");
    return code;
}

int rebuild_log(struct rebuild *rebuild, struct err *err) {
    static struct work work;
    work.rebuild = rebuild;
    work.err = err;
    int code = prepare(&work, err);
    if (code == 0) code = run(&work, err);
    audits_deinit(&work.audits);
    snapshots_close(&work.redis);
    maria_free(work.copy.db);
    log_plan_free(work.plan);
    explicit_bzero(&work.keys, sizeof work.keys);
    return code;
}
