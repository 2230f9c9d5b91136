/* SPDX-License-Identifier: Apache-2.0
 *
 * The database's rows are lost, or not to be trusted: they are taken away, in one transaction that
 * also sets the place to the begin of the log, and made anew by the consumer's own code. Killed
 * anywhere, the database is one that an ordinary consumer goes on with; and a consumer that comes
 * meanwhile takes over by the epoch, and this ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "claim/consumer.h"
#include "claim/view.h"
#include "consume.h"
#include "lib/clock.h"
#include "lib/random.h"
#include "log/dead_letters.h"
#include "log/kafka_read.h"
#include "log/record.h"
#include "rebuild.h"
#include "record/mariadb_empty.h"
#include "record/mariadb_recording.h"
#include "record/mariadb_schema.h"

enum { BROKERS_WAIT_MS = 10000, RETRY_MS_MAX = 60000 };

struct work {
    struct rebuild *rebuild;
    struct code_keys keys;
    struct maria *db; /* of the emptying; the consumer has one of its own */
    struct recording_place place;
    bool is_another_log; /* than the one that the rows are of */
    struct dead_letters *dead_letters;
    struct consumer *consumer;
    struct err *err;

    /* Of the first reading. */
    struct view *view;
    uint64_t records;
    bool is_of_this_log; /* the place that the database has is the place of such a record */
    _Alignas(RECORD_ALIGN) char value[RECORD_BYTES_MAX];
};

/* ---- The first reading: is all of it there? ---- */

static int look_at(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value) {
    struct work *work = ctx;
    struct record record;
    enum record_status status = record_read(work->value, value, &record);
    (void)logged_ms;
    work->records = offset + 1;
    if (status == RECORD_NEWER)
        return err_set(work->err, -EPROTO,
                       "refused, nothing was changed: the record at offset %" PRIu64
                       " is of a newer version than this program knows: deploy that one",
                       offset);
    if (offset + 1 == work->place.seq)
        work->is_of_this_log =
            work->place.crc == (status == RECORD_OK ? record_crc(work->value) : 0);
    if (status != RECORD_OK) return 0;
    record.seq = offset + 1;
    if (view_apply(work->view, &record, NULL) == 0) return 0;
    return err_set(work->err, -ENOMEM, "no memory for what the log has decided");
}

static int check_log(struct work *work, struct err *err) {
    const char *topic = work->rebuild->kafka.options.topic;
    if (work->records < work->place.seq)
        return err_set(err, -EBADMSG,
                       "refused, nothing was changed: topic %s has %" PRIu64
                       " records, and the database has recorded %" PRIu64
                       ": it is the log that has lost something (--rebuild log)",
                       topic, work->records, work->place.seq);
    if (work->place.seq != 0 && !work->is_of_this_log)
        return err_set(err, -EBADMSG,
                       "refused, nothing was changed: the database is at offset %" PRIu64
                       ", where topic %s has another record: it is another log, or made anew",
                       work->place.seq, topic);
    for (uint32_t n = 0; n < view_events_count(work->view); n++) {
        const struct event *event = view_at(work->view, n);
        if (code_keys_find(&work->keys, event->key_id) == NULL)
            return err_set(err, -ENOENT,
                           "refused, nothing was changed: no key of the codes of event %.*s in %s: "
                           "its rows would have none (--data-dir)",
                           (int)event->id.n, event->id.p,
                           options_get(work->rebuild->options, "data-dir")->text);
    }
    return 0;
}

static int look_at_log(struct work *work, struct err *err) {
    struct hash_key key;
    random_fill(&random_system, &key, sizeof key);
    work->view = view_new(&key);
    if (work->view == NULL) return err_set(err, -ENOMEM, "no memory for what the log has decided");
    work->records = 0;
    int code =
        kafka_read(&work->rebuild->kafka.options, work->rebuild->timeout_ms, look_at, work, err);
    return code == 0 ? check_log(work, err) : code;
}

/* ---- The database ---- */

static int code_of(enum maria_class class, const struct err *err) {
    return class == MARIA_FINE ? 0 : err->code != 0 ? err->code : -EIO;
}

static int look_at_database(struct work *work, struct err *err) {
    size_t applied = 0;
    work->db = maria_new(&work->rebuild->database.options);
    if (work->db == NULL) return err_set(err, -ENOMEM, "no memory for the database");
    enum maria_class class = maria_connect(work->db, err);
    if (class == MARIA_FINE) class = maria_schema_check(work->db, &applied, err);
    if (class == MARIA_FINE && applied < maria_migrations_count)
        return err_set(err, -ENOENT, "database %s: has not all migrations: coupond schema apply",
                       maria_name(work->db));
    if (class == MARIA_FINE)
        class = maria_place(work->db, work->rebuild->kafka.options.topic, &work->place, err);
    return code_of(class, err);
}

static void on_emptying(void *ctx, uint64_t rows) {
    struct work *work = ctx;
    if (rebuild_is_slow(work->rebuild)) rebuild_say("database: %" PRIu64 " rows taken away", rows);
}

static int empty(struct work *work, struct err *err) {
    uint64_t rows;
    const struct maria_emptying emptying = {.topic = work->rebuild->kafka.options.topic,
                                            .owner = "verify --rebuild",
                                            .from = work->place,
                                            .is_another_log = work->is_another_log,
                                            .on_progress = on_emptying,
                                            .ctx = work};
    rebuild_begins(work->rebuild);
    struct err why = {0};
    enum maria_class class = maria_empty(work->db, &emptying, &rows, &why);
    if (class != MARIA_FINE)
        return err_set(err, code_of(class, &why), "nothing was changed: %.400s", why.text);
    rebuild_say("database: %" PRIu64 " rows taken away; from here on a consumer goes on, too",
                rows);
    return 0;
}

/* ---- The rows anew ---- */

static int send_dead_letter(void *ctx, const struct recording_reject *reject, uint32_t attempts,
                            struct err *err) {
    return consume_send_dead_letter(ctx, reject, attempts, err);
}

static int make_consumer(struct work *work, struct err *err) {
    struct maria *db = maria_new(&work->rebuild->database.options);
    struct recording *recording = db == NULL
                                      ? NULL
                                      : maria_recording_new(db, work->rebuild->kafka.options.topic,
                                                            "verify --rebuild", &clock_system);
    if (recording == NULL) return err_set(err, -ENOMEM, "no memory for the database");
    struct consumer_options options = {
        .recording = recording,
        .keys = &work->keys,
        .dead_letters = {.ctx = work->dead_letters, .send = send_dead_letter},
        .clock = &clock_system,
        .random = &random_system,
    };
    random_fill(&random_system, &options.hash_key, sizeof options.hash_key);
    work->consumer = consumer_new(&options);
    return work->consumer != NULL ? 0 : err_set(err, -ENOMEM, "no memory for the consumer");
}

/* What a step came to, once it need not be waited for. */
static int code_of_next(struct work *work, enum consumer_next next, struct err *err) {
    uint64_t seq = counter_read(&consumer_health(work->consumer)->applied_seq);
    if (next == CONSUMER_GO_ON) return 0;
    if (next == CONSUMER_LOST)
        return err_set(err, -ESTALE,
                       "a consumer has taken over at offset %" PRIu64 ", and goes on by itself",
                       seq);
    return err_set(err, -EIO,
                   "stopped at offset %" PRIu64
                   ", as the line above says: run it again, or start a consumer",
                   seq);
}

/* The database may be away for a moment. */
static int again_and_again(struct work *work, enum consumer_next (*step)(struct consumer *consumer),
                           struct err *err) {
    uint64_t until_ns = clock_monotonic_ns(&clock_system) + RETRY_MS_MAX * UINT64_C(1000000);
    enum consumer_next next;
    while ((next = step(work->consumer)) == CONSUMER_WAIT &&
           clock_monotonic_ns(&clock_system) < until_ns)
        (void)poll(NULL, 0, (int)consumer_wait_ms(work->consumer));
    return code_of_next(work, next, err);
}

static enum consumer_next take_over(struct consumer *consumer) {
    uint64_t from_seq;
    return consumer_take_over(consumer, &from_seq);
}

static void tell_progress(struct work *work) {
    if (!rebuild_is_slow(work->rebuild)) return;
    rebuild_say("database: %" PRIu64 " of %" PRIu64 " records",
                counter_read(&consumer_health(work->consumer)->applied_seq), work->records);
}

static int take(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value) {
    struct work *work = ctx;
    int code =
        code_of_next(work, consumer_take(work->consumer, offset + 1, logged_ms, value), work->err);
    if (code == 0 && consumer_is_full(work->consumer))
        code = again_and_again(work, consumer_commit, work->err);
    tell_progress(work);
    return code;
}

static int record(struct work *work, struct err *err) {
    rebuild_begins(work->rebuild);
    int code = make_consumer(work, err);
    if (code == 0) code = again_and_again(work, take_over, err);
    if (code == 0)
        code =
            kafka_read(&work->rebuild->kafka.options, work->rebuild->timeout_ms, take, work, err);
    if (code == 0) code = again_and_again(work, consumer_commit, err);
    if (code != 0) return code;
    const struct consumer_health *health = consumer_health(work->consumer);
    rebuild_say("database: done: %" PRIu64 " records to offset %" PRIu64 ", %" PRIu64
                " changes of rows, %" PRIu64 " void, %" PRIu64 " dead letters",
                counter_read(&health->records), counter_read(&health->applied_seq),
                counter_read(&health->changes), counter_read(&health->rejects_void),
                counter_read(&health->rejects_dead));
    return 0;
}

/* ---- All of it ---- */

static int open_all(struct work *work, struct err *err) {
    const struct kafka_options *kafka = &work->rebuild->kafka.options;
    const char *folder = options_get(work->rebuild->options, "data-dir")->text;
    int code = code_keys_load(&work->keys, folder, false, &random_system, err);
    if (code == -ENOENT) { /* a log without an event needs none */
        work->keys.count = 0;
        code = 0;
    }
    if (code == 0) code = kafka_topic_ensure(kafka, false, BROKERS_WAIT_MS, err);
    if (code == 0) code = dead_letters_open(&work->dead_letters, kafka, err);
    if (code == 0) code = rebuild_check_consumers(work->rebuild, err);
    return code;
}

static int prepare(struct work *work, struct err *err) {
    int code = open_all(work, err);
    if (code == 0) code = look_at_database(work, err);
    if (code == 0) code = look_at_log(work, err);
    return code;
}

static int run(struct work *work, bool empties, struct err *err) {
    struct kafka_options dead = work->rebuild->kafka.options;
    dead.topic = dead_letters_topic(work->dead_letters);
    rebuild_say("database: makes the rows of %s anew from the %" PRIu64
                " records of topic %s; until it is done readers see less than there is",
                maria_name(work->db), work->records, work->rebuild->kafka.options.topic);
    int code = kafka_topic_ensure(&dead, true, BROKERS_WAIT_MS, err);
    if (code == 0 && empties) code = empty(work, err);
    if (code == 0) code = record(work, err);
    return code;
}

static void close_all(struct work *work) {
    consumer_free(work->consumer);
    dead_letters_close(work->dead_letters);
    maria_free(work->db);
    view_free(work->view);
    explicit_bzero(&work->keys, sizeof work->keys);
}

int rebuild_database(struct rebuild *rebuild, struct err *err) {
    static struct work work;
    work.rebuild = rebuild;
    work.err = err;
    int code = prepare(&work, err);
    if (code == 0) code = run(&work, true, err);
    close_all(&work);
    return code;
}

int rebuild_database_follow(struct rebuild *rebuild, const struct recording_place *place,
                            bool empties, struct err *err) {
    static struct work work;
    const struct recording_place begin = {0};
    work.rebuild = rebuild;
    work.err = err;
    work.is_another_log = empties;
    int code = open_all(&work, err);
    if (code == 0) code = look_at_database(&work, err);
    if (code == 0 && empties) work.place = begin; /* what it has is no place of this log */
    if (code == 0) code = look_at_log(&work, err);
    if (code == 0 && empties) work.place = *place;
    if (code == 0) code = run(&work, empties, err);
    close_all(&work);
    return code;
}
