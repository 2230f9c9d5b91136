/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread reads, judges, writes and waits; between two tries of anything it goes on polling the
 * group, so that nobody takes it for dead:
 *
 *     assigned -> take over (retried) -> start at the view's place -> records -> commit (retried)
 *     revoked  -> let go                lost -> let go, join anew     stopped -> let go, leave
 */
#include "consume.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/listener.h"
#include "api/monitor.h"
#include "claim/consumer.h"
#include "claim/coupon_code.h"
#include "cluster_proof.h"
#include "consume_pages.h"
#include "database.h"
#include "kafka_settings.h"
#include "lib/base.h"
#include "lib/clock.h"
#include "lib/logger.h"
#include "lib/notify.h"
#include "lib/random.h"
#include "log/dead_letters.h"
#include "log/kafka_group.h"
#include "record/mariadb_recording.h"
#include "record/mariadb_schema.h"
#include "verify/reconcile_thread.h"

enum {
    EXIT_USAGE = 2,
    EXIT_FAIL_STOP = 70,
    POLL_MS = 100,
    REJOIN_MS = 1000,
    PROGRESS_MS = 1000,
    PROGRESS_BEHIND_S = 2, /* without a terminal, from here on */
    BACKLOG = 64,
    BROKERS_WAIT_MS = 60000,
    BROKERS_PART_MS = 5000,
    VERIFY_STALL_MS = 10000,
    VERIFY_REDIS_MS = 2000,
    VERIFY_HOLDERS_MAX = 20000, /* some 40 ms of a node that has better things to do */
    VERIFY_RECHECK_MS = 5000,   /* after a pass that shows a difference */
};

/* A consumer and its parts, in the order in which they are made. */
struct consume {
    const struct options *options;
    struct database database;
    struct kafka_settings kafka;
    struct code_keys keys;
    char owner[128];
    struct dead_letters *dead_letters;
    struct consumer *consumer;
    struct kafka_group *group;
    struct consume_pages pages;
    struct cluster_proof proof;        /* what the verifier reads */
    struct reconcile_thread *verifier; /* NULL without one */
    struct monitor *monitor;
    struct notify notify;

    bool is_assigned; /* by the group */
    bool is_owner;    /* in the database */
    bool is_waiting;  /* a commit is to be tried again */
    bool is_stopped;
    uint64_t retry_ns, progress_ns, progress_seq;
};

static uint64_t now_ns(void) {
    return clock_monotonic_ns(&clock_system);
}

/* ---- What came of a step ---- */

static void let_go(struct consume *consume) {
    consumer_let_go(consume->consumer);
    consume->is_owner = consume->is_waiting = false;
}

static void come_back_later(struct consume *consume) {
    consume->retry_ns = now_ns() + consumer_wait_ms(consume->consumer) * UINT64_C(1000000);
}

/* True when it may go on at once. */
static bool follow(struct consume *consume, enum consumer_next next) {
    switch (next) {
    case CONSUMER_GO_ON:
        return true;
    case CONSUMER_WAIT:
        come_back_later(consume);
        return false;
    case CONSUMER_LOST:
        let_go(consume);
        consume->retry_ns = now_ns() + REJOIN_MS * UINT64_C(1000000);
        kafka_group_rejoin(consume->group);
        return false;
    case CONSUMER_STOPPED:
        break;
    }
    let_go(consume);
    consume->is_stopped = true;
    kafka_group_leave(consume->group);
    return false;
}

static void commit(struct consume *consume) {
    enum consumer_next next = consumer_commit(consume->consumer);
    bool was_waiting = consume->is_waiting;
    consume->is_waiting = next == CONSUMER_WAIT;
    if (consume->is_waiting && !was_waiting) kafka_group_pause(consume->group);
    if (!follow(consume, next)) return;
    if (was_waiting) kafka_group_resume(consume->group);
    kafka_group_commit(consume->group,
                       counter_read(&consumer_health(consume->consumer)->applied_seq));
}

static void take_over(struct consume *consume) {
    uint64_t from_seq = 0;
    if (!follow(consume, consumer_take_over(consume->consumer, &from_seq))) return;
    consume->is_owner = true;
    kafka_group_start(consume->group, from_seq);
}

/* ---- What the group says ---- */

static void on_assigned(void *ctx) {
    struct consume *consume = ctx;
    consume->is_assigned = true;
    atomic_store(&consume->pages.is_assigned, true);
    atomic_store(&consume->pages.caught_up_ns, now_ns());
}

static void on_revoked(void *ctx) {
    struct consume *consume = ctx;
    consume->is_assigned = false;
    atomic_store(&consume->pages.is_assigned, false);
    let_go(consume);
}

static bool on_record(void *ctx, uint64_t offset, int64_t logged_ms, struct slice value) {
    struct consume *consume = ctx;
    /* What is still on its way from before a pause or a loss is read again later. */
    if (!consume->is_owner || consume->is_waiting) return false;
    enum consumer_next next = consumer_take(consume->consumer, offset + 1, logged_ms, value);
    if (!follow(consume, next)) return false;
    return !consumer_is_full(consume->consumer);
}

/* ---- Turns ---- */

static bool is_past(uint64_t when_ns) {
    return now_ns() >= when_ns;
}

static void act(struct consume *consume) {
    if (consume->is_stopped || !consume->is_assigned) return;
    if (!consume->is_owner) {
        if (is_past(consume->retry_ns)) take_over(consume);
        return;
    }
    uint64_t due_ns = consumer_due_ns(consume->consumer);
    bool is_due = consumer_is_full(consume->consumer) || (due_ns != 0 && is_past(due_ns));
    if (consume->is_waiting ? is_past(consume->retry_ns) : is_due) commit(consume);
}

static int poll_ms(const struct consume *consume) {
    uint64_t due_ns = consumer_due_ns(consume->consumer);
    uint64_t until_ns = !consume->is_owner || consume->is_waiting ? consume->retry_ns : due_ns;
    uint64_t now = now_ns();
    if (!consume->is_assigned || until_ns == 0) return POLL_MS;
    if (until_ns <= now) return 0;
    return (int)size_min((size_t)((until_ns - now) / 1000000) + 1, POLL_MS);
}

static void look_at_lag(struct consume *consume) {
    struct consume_pages *pages = &consume->pages;
    atomic_store(&pages->end_seq, kafka_group_end(consume->group));
    if (consume_lag_records(pages) == 0) {
        atomic_store(&pages->caught_up_ns, now_ns());
        consume->progress_ns = 0;
    }
}

/* A person at a terminal sees it catch up; otherwise it is said when it takes long. */
static void tell_progress(struct consume *consume) {
    const struct consumer_health *health = consumer_health(consume->consumer);
    uint64_t now = now_ns(), judged = counter_read(&health->judged_seq);
    uint64_t lag = consume_lag_records(&consume->pages);
    if (lag == 0 || !consume->is_owner) return;
    if (!isatty(STDERR_FILENO) && consume_lag_seconds(&consume->pages) < PROGRESS_BEHIND_S) return;
    if (consume->progress_ns != 0 && now < consume->progress_ns + PROGRESS_MS * UINT64_C(1000000))
        return;
    double seconds = (double)(now - consume->progress_ns) / 1e9;
    uint64_t done = judged > consume->progress_seq ? judged - consume->progress_seq : 0;
    logger_line(LOG_INFO, "consume",
                "event=consume_catches_up offset=%" PRIu64 " end=%" PRIu64 " missing=%" PRIu64
                " records_per_s=%.0f",
                judged, atomic_load(&consume->pages.end_seq), lag,
                consume->progress_ns == 0 ? 0.0 : (double)done / seconds);
    consume->progress_ns = now;
    consume->progress_seq = judged;
}

static void turn(struct consume *consume) {
    act(consume);
    kafka_group_poll(consume->group, poll_ms(consume));
    look_at_lag(consume);
    tell_progress(consume);
}

/* ---- Start ---- */

static bool is_told_to_end(unsigned wait_ms) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    return sigtimedwait(&ends, NULL, &(struct timespec){.tv_nsec = wait_ms * 1000000}) > 0;
}

/* Until the database can be asked; -EAGAIN never. */
static int make_schema(struct consume *consume, struct maria *db, struct err *err) {
    static struct logger_limit waits;
    bool applies = options_get(consume->options, "schema")->number != 0;
    for (;;) {
        size_t applied = 0;
        enum maria_class class = maria_connect(db, err);
        if (class == MARIA_FINE && applies)
            class = maria_schema_apply(db, &clock_system, NULL, NULL, err);
        if (class == MARIA_FINE) class = maria_schema_check(db, &applied, err);
        if (class == MARIA_FINE && applied < maria_migrations_count)
            return err_set(err, -EPROTO,
                           "database %s: %zu of %zu migrations are missing: coupond schema apply",
                           maria_name(db), maria_migrations_count - applied,
                           maria_migrations_count);
        if (class == MARIA_FINE) return 0;
        if (class != MARIA_TRANSIENT) return err->code;
        logger_line_limited(&waits, LOG_WARN, "consume", "event=database_awaited text=\"%s\"",
                            err->text);
        if (is_told_to_end(500))
            return err_set(err, -EINTR, "was stopped while the database was away");
    }
}

static int load_keys(struct consume *consume, struct err *err) {
    const char *folder = options_get(consume->options, "data-dir")->text;
    int code = code_keys_load(&consume->keys, folder, false, &random_system, err);
    if (code != -ENOENT) return code;
    logger_line(LOG_WARN, "consume",
                "event=no_code_key data_dir=%s hint=\"rows get no codes: give this consumer the "
                "servers' code-….key files\"",
                folder);
    consume->keys.count = 0;
    return 0;
}

static void name_owner(struct consume *consume) {
    char host[100] = "";
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    for (char *c = host; *c != '\0'; c++)
        if (*c < '!' || *c > '~') *c = '-';
    snprintf(consume->owner, sizeof consume->owner, "%s:%d", host, (int)getpid());
}

int consume_send_dead_letter(struct dead_letters *letters, const struct recording_reject *reject,
                             uint32_t attempts, struct err *err) {
    return dead_letters_send(letters,
                             &(struct dead_letter){.reason = reject->reason,
                                                   .error = reject->error,
                                                   .offset = reject->seq - 1,
                                                   .logged_ms = reject->logged_ms,
                                                   .attempts = attempts,
                                                   .raw = reject->raw},
                             err);
}

static int send_dead_letter(void *ctx, const struct recording_reject *reject, uint32_t attempts,
                            struct err *err) {
    const struct consume *consume = ctx;
    return consume_send_dead_letter(consume->dead_letters, reject, attempts, err);
}

static int make_consumer(struct consume *consume, struct err *err) {
    struct maria *db = maria_new(&consume->database.options);
    if (db == NULL) return err_set(err, -ENOMEM, "no memory for the database");
    int code = make_schema(consume, db, err);
    if (code != 0) {
        maria_free(db);
        return code;
    }
    name_owner(consume);
    struct recording *recording =
        maria_recording_new(db, consume->kafka.options.topic, consume->owner, &clock_system);
    if (recording == NULL) return err_set(err, -ENOMEM, "no memory for the database");
    struct consumer_options options = {
        .recording = recording,
        .keys = &consume->keys,
        .dead_letters = {.ctx = consume, .send = send_dead_letter},
        .clock = &clock_system,
        .random = &random_system,
    };
    random_fill(&random_system, &options.hash_key, sizeof options.hash_key);
    consume->consumer = consumer_new(&options);
    return consume->consumer != NULL ? 0 : err_set(err, -ENOMEM, "no memory for the consumer");
}

/* Its own view, at the record to which it has judged the log. */
static int points_of_view(void *ctx, struct view_point *points, size_t max, size_t *count,
                          struct err *err) {
    const struct consume *consume = ctx;
    (void)max, (void)err;
    snprintf(points[0].name, sizeof points[0].name, "consume");
    view_mark_read(consumer_mark(consume->consumer), &points[0].seq, &points[0].digest);
    *count = 1;
    return 0;
}

static int start_verifier(struct consume *consume, struct err *err) {
    uint32_t every_ms = (uint32_t)options_get(consume->options, "verify-every")->number;
    if (every_ms == 0) return 0;
    int code = cluster_proof_init(&consume->proof, consume->options, VERIFY_STALL_MS, err);
    if (code == 0)
        code = cluster_proof_reserve(&consume->proof, consume->options, VERIFY_REDIS_MS,
                                     VERIFY_HOLDERS_MAX, err);
    if (code != 0) return code;
    struct reconcile_thread_options options = {
        .reconcile = {.log = consume->proof.sources.log,
                      .copy = consume->proof.sources.copy,
                      .reserve = consume->proof.sources.reserve,
                      .is_reserve_optional = true,
                      .views = {.ctx = consume, .points = points_of_view}},
        .check_topic = consume->proof.sources.check_topic,
        .ctx = consume->proof.sources.ctx,
        .clock = &clock_system,
        .every_ms = every_ms,
        .recheck_ms = VERIFY_RECHECK_MS,
    };
    random_fill(&random_system, &options.reconcile.hash_key, sizeof options.reconcile.hash_key);
    consume->verifier = reconcile_thread_start(&options);
    consume->pages.verifier = consume->verifier;
    return consume->verifier != NULL ? 0 : err_set(err, -ENOMEM, "cannot start the verifier");
}

/* In parts, so that whoever is told to end meanwhile does. */
static int await_topic(const struct kafka_options *options, struct err *err) {
    static struct logger_limit waits;
    uint64_t until_ns = now_ns() + BROKERS_WAIT_MS * UINT64_C(1000000);
    int code;
    while ((code = kafka_topic_ensure(options, true, BROKERS_PART_MS, err)) == -EAGAIN &&
           now_ns() < until_ns) {
        if (is_told_to_end(0))
            return err_set(err, -EINTR, "was stopped while the brokers were away");
        logger_line_limited(&waits, LOG_WARN, "consume", "event=brokers_awaited text=\"%s\"",
                            err->text);
    }
    return code;
}

static int join_group(struct consume *consume, struct err *err) {
    const struct kafka_group_sink sink = {.ctx = consume,
                                          .on_assigned = on_assigned,
                                          .on_revoked = on_revoked,
                                          .on_record = on_record};
    struct kafka_options dead = consume->kafka.options;
    int code = await_topic(&consume->kafka.options, err);
    if (code == 0) code = dead_letters_open(&consume->dead_letters, &consume->kafka.options, err);
    if (code != 0) return code;
    dead.topic = dead_letters_topic(consume->dead_letters);
    code = await_topic(&dead, err);
    if (code != 0) return code;
    return kafka_group_open(&consume->group, &consume->kafka.options,
                            options_get(consume->options, "kafka-group")->text, &sink, err);
}

static int open_door(struct consume *consume, char real[LISTEN_ADDRESS_BYTES], struct err *err) {
    int fd;
    struct err why = {0};
    const char *address = options_get(consume->options, "listen")->text;
    int code = listener_open(address, BACKLOG, &fd, 1, real, &why);
    if (code != 0) return err_set(err, code, "--listen: %s", why.text);
    consume->pages.consumer = consume->consumer;
    consume->pages.topic = consume->kafka.options.topic;
    consume->pages.database = options_get(consume->options, "database")->text;
    consume->pages.started_ns = now_ns();
    atomic_store(&consume->pages.caught_up_ns, now_ns());
    consume->monitor = monitor_start(fd, consume_page_table, consume_page_count, &consume->pages);
    return consume->monitor != NULL ? 0 : err_set(err, -ENOMEM, "cannot start a thread");
}

static int start(struct consume *consume, char real[LISTEN_ADDRESS_BYTES], struct err *err) {
    int code = load_keys(consume, err);
    if (code == 0) code = make_consumer(consume, err);
    if (code == 0) code = start_verifier(consume, err);
    if (code == 0) code = open_door(consume, real, err);
    if (code == 0) code = join_group(consume, err);
    return code;
}

static void stop(struct consume *consume) {
    atomic_store(&consume->pages.is_stopping, true);
    /* One try: what it leaves, the next owner does. */
    if (consume->is_owner && !consume->is_waiting) commit(consume);
    kafka_group_close(consume->group);
    monitor_stop(consume->monitor);
    reconcile_thread_stop(consume->verifier);
    cluster_proof_deinit(&consume->proof);
    consumer_free(consume->consumer);
    dead_letters_close(consume->dead_letters);
    database_deinit(&consume->database);
    kafka_settings_deinit(&consume->kafka);
    explicit_bzero(&consume->keys, sizeof consume->keys);
}

/* ---- Life ---- */

static void set_log_level(const struct options *options) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *wanted = options_get(options, "log-level")->text;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], wanted) == 0) logger_set_level((enum log_level)i);
}

static void block_signals(sigset_t *signals) {
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static const char *run(struct consume *consume, sigset_t *signals) {
    for (;;) {
        int signal_number = sigtimedwait(signals, NULL, &(struct timespec){0});
        if (signal_number == SIGINT || signal_number == SIGTERM) {
            pthread_sigmask(SIG_UNBLOCK, signals, NULL); /* a second one ends it at once */
            return signal_number == SIGINT ? "SIGINT" : "SIGTERM";
        }
        turn(consume);
    }
}

static int fail(const struct err *err) {
    fprintf(stderr, "coupond consume: %s\n", err->text);
    return err->code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

int consume_command(const struct options *options, int words, char **word) {
    static struct consume consume;
    struct err err = {0};
    sigset_t signals;
    char real[LISTEN_ADDRESS_BYTES];
    if (words != 0) {
        fprintf(stderr, "coupond consume: unexpected word %s; see coupond consume --help\n",
                word[0]);
        return EXIT_USAGE;
    }
    consume.options = options;
    int code = database_init(&consume.database, options, &err);
    if (code == 0) code = kafka_settings_init(&consume.kafka, options, &err);
    if (code != 0) return fail(&err);
    set_log_level(options);
    block_signals(&signals);
    umask(077);
    notify_open(&consume.notify, getenv("NOTIFY_SOCKET"), NULL, NULL);
    if (start(&consume, real, &err) != 0) return fail(&err);
    fprintf(stderr, "ready listen=%s topic=%s database=%s pid=%d\n", real,
            consume.kafka.options.topic, consume.pages.database, (int)getpid());
    notify_send(&consume.notify, "READY=1\nSTATUS=Recording %s", consume.kafka.options.topic);
    logger_line(LOG_INFO, "consume", "event=draining signal=%s", run(&consume, &signals));
    bool is_stopped = consume.is_stopped;
    notify_send(&consume.notify, "STOPPING=1");
    stop(&consume);
    notify_close(&consume.notify);
    logger_line(LOG_INFO, "consume", "event=stopped");
    return is_stopped ? EXIT_FAIL_STOP : EXIT_SUCCESS;
}
