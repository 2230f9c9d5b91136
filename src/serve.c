/* SPDX-License-Identifier: Apache-2.0
 *
 * See serve.h. The choices between implementations (log, reserve, store, clock, disk, randomness)
 * are made here and nowhere else.
 */
#include "serve.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/activation.h"
#include "api/admin_token.h"
#include "api/gate.h"
#include "api/listener.h"
#include "api/routes.h"
#include "api/server.h"
#include "api/views.h"
#include "claim/copy_thread.h"
#include "claim/coupon_code.h"
#include "claim/engine.h"
#include "claim/engine_ops.h"
#include "claim/engine_thread.h"
#include "claim/reserve.h"
#include "claim/view.h"
#include "lib/base.h"
#include "lib/bearer.h"
#include "lib/clock.h"
#include "lib/disk.h"
#include "lib/err.h"
#include "lib/logger.h"
#include "lib/notify.h"
#include "lib/options_value.h"
#include "lib/random.h"
#include "lib/sockets.h"
#include "log/journal.h"
#include "log/journal_lock.h"
#include "log/journal_thread.h"
#include "proof.h"
#include "record/sqlite.h"
#include "serve_cluster.h"
#include "verify/reconcile_thread.h"

enum { EXIT_USAGE = 2, EXIT_FAIL_STOP = 70 };

enum {
    THREADS_MAX = 64,
    /* Of the limit of open files, what is no connection of the public. */
    OWN_FILES = 24, /* standard streams, lock, journal, signals; connections of the operator */
    OWN_FILES_PER_THREAD = 8,
    CONNECTIONS_MIN = 8,      /* fewer are no server */
    VERIFY_RECHECK_MS = 5000, /* after a pass that shows a difference */
    LIMIT_WORDS = 1 << 18,    /* clients of each limit that are remembered; 2 MiB once all are */
};

static bool wants_tokens(const struct options *options) {
    return strcmp(options_get(options, "auth")->text, "jwt") == 0;
}

static struct gate *read_gate(const struct options *options, struct err *err) {
    return gate_new(
        &(struct gate_options){
            .trusted_proxies = options_get(options, "trusted-proxies")->text,
            .cors_origins = options_get(options, "cors-origin")->text,
            .limits[LIMIT_ADDRESS] =
                {.rate = options_get(options, "limit-address-rate")->decimal,
                 .burst = (uint32_t)options_get(options, "limit-address-burst")->number},
            .limits[LIMIT_USER] = {.rate = options_get(options, "limit-user-rate")->decimal,
                                   .burst =
                                       (uint32_t)options_get(options, "limit-user-burst")->number},
            .limits_loopback = options_get(options, "limit-loopback")->number != 0,
        },
        err);
}

int serve_check_options(const struct options *options, struct err *err) {
    static const char *const doors[] = {"listen", "admin-listen"};
    for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
        struct err why = {0};
        int code = listener_check(options_get(options, doors[i])->text, &why);
        if (code != 0) return err_set(err, code, "--%s: %s", doors[i], why.text);
    }
    bool has_keys = options_get(options, "jwt-keys")->text != NULL;
    if (wants_tokens(options) && !has_keys)
        return err_set(err, -EINVAL, "--auth jwt needs --jwt-keys FILE");
    if (!wants_tokens(options) && has_keys)
        return err_set(err, -EINVAL, "--jwt-keys without --auth jwt would check nobody");
    struct gate *gate = read_gate(options, err);
    if (gate == NULL) return err->code;
    gate_free(gate);
    return serve_cluster_check(options, err);
}

/* A server and its parts, in the order in which they are made; torn down in the other. */
struct serve {
    const struct options *options; /* as they were at start */
    struct options reloaded;       /* what a hang-up found, if one came */
    const struct options *current; /* of the two, the later: for what is RELOADABLE */
    const char *folder;
    struct notify notify;
    int lock_fd;
    struct hash_key hash_key;
    struct code_keys keys;
    char admin_token[ADMIN_TOKEN_BYTES_MAX + 1];
    struct bearer *bearer; /* what tokens are checked with; NULL: users are taken at their word */
    uint64_t connections_possible;
    uint32_t threads; /* network threads; the admin listener's thread comes behind them */
    struct view *views[THREADS_MAX + 1];
    struct view *engine_view;       /* the engine's own once its thread runs */
    uint32_t events;                /* at start */
    struct store_position position; /* of the last record that was read at start */
    bool is_cluster;                /* then `cluster` is in the place of journal and reserve */
    struct serve_cluster cluster;
    struct journal *journal;
    struct log *log;
    struct reserve *reserve;
    struct server_shared shared;
    char listen[LISTEN_ADDRESS_BYTES], admin_listen[LISTEN_ADDRESS_BYTES];
    struct server *servers[THREADS_MAX + 1];
    struct copy_thread *copy;                   /* NULL without a copy */
    struct mailbox *mailboxes[THREADS_MAX + 2]; /* of the servers, then of the copy */
    struct engine_thread *engine;
    struct proof proof;                /* what the verifier reads */
    struct reconcile_thread *verifier; /* NULL without one */
};

static int64_t number(const struct serve *serve, const char *name) {
    return options_get(serve->options, name)->number;
}

static uint64_t current_number(const struct serve *serve, const char *name) {
    return (uint64_t)options_get(serve->current, name)->number;
}

/* A duration in whole seconds, never less than was asked for. */
static uint32_t current_seconds(const struct serve *serve, const char *name) {
    return (uint32_t)((current_number(serve, name) + 999) / 1000);
}

static uint32_t servers_count(const struct serve *serve) {
    return serve->threads + 1;
}

static int make_folder(struct serve *serve, struct err *err) {
    serve->folder = options_get(serve->options, "data-dir")->text;
    if (mkdir(serve->folder, 0700) != 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot create the data folder %s: %s", serve->folder,
                       strerror(errno));
    return journal_lock_take(serve->folder, &serve->lock_fd, err);
}

/* The keys of tokens, as `options` have them. */
static int load_bearer(const struct options *options, struct bearer **bearer, struct err *err) {
    struct err why = {0};
    const char *path = options_get(options, "jwt-keys")->text;
    if (path == NULL)
        return err_set(err, -EINVAL, "--jwt-keys is gone, and --auth jwt holds until a restart");
    int code = bearer_new(bearer, path, options_get(options, "jwt-audience")->text,
                          options_get(options, "jwt-leeway")->number, &why);
    if (code != 0) return err_set(err, -EINVAL, "--jwt-keys: %s", why.text);
    logger_line(LOG_INFO, "serve", "event=token_keys keys=%zu", bearer_keys_count(*bearer));
    return 0;
}

static void on_name(void *ctx, const char *name) {
    bool *has_log = ctx;
    if (strncmp(name, "journal-", strlen("journal-")) == 0) *has_log = true;
}

/* A key is made for a new log only: under another key the coupons of an old one would get other
 * codes (I7). */
static int load_secrets(struct serve *serve, struct err *err) {
    bool has_log = serve->is_cluster && view_offset(serve->engine_view) > 0;
    int code = disk_system.list(&disk_system, serve->folder, on_name, &has_log);
    if (code != 0) return err_set(err, code, "cannot list %s", serve->folder);
    code = code_keys_load(&serve->keys, serve->folder, !has_log, &random_system, err);
    if (code != 0) return code;
    return admin_token_load(serve->admin_token, serve->folder, &random_system, err);
}

/* The journal is read once; every network thread's view begins as a clone of the engine's. */
static int apply_record(void *ctx, const struct record *record, struct slice encoded) {
    struct serve *serve = ctx;
    serve->position = copy_position(record, encoded);
    return view_apply(serve->engine_view, record, NULL);
}

static void warn_of_missing_keys(const struct serve *serve) {
    for (uint32_t i = 0; i < view_events_count(serve->engine_view); i++) {
        const struct event *event = view_at(serve->engine_view, i);
        if (code_keys_find(&serve->keys, event->key_id) == NULL)
            logger_line(LOG_ERROR, "serve",
                        "event=code_key_missing event_id=%.*s key_id=%016llx "
                        "action=\"claims of this event are refused\"",
                        (int)event->id.n, event->id.p, (unsigned long long)event->key_id);
    }
}

static struct journal_options journal_options_of(const struct serve *serve, bool read_only) {
    return (struct journal_options){
        .folder = serve->folder,
        /* Whoever only reads makes no segment, and is on a thread that leaves the options alone. */
        .segment_bytes = read_only ? 0 : round_up((size_t)number(serve, "journal-segment"), 4096),
        .disk = &disk_system,
        .random = &random_system,
        .read_only = read_only,
    };
}

static uint32_t claims_max(const struct serve *serve) {
    return serve->shared.inflight_max * servers_count(serve);
}

static int read_log(struct serve *serve, struct err *err) {
    random_fill(&random_system, &serve->hash_key, sizeof serve->hash_key);
    serve->engine_view = view_new(&serve->hash_key);
    if (serve->engine_view == NULL) return err_set(err, -ENOMEM, "no memory for a view");
    if (serve->is_cluster)
        return serve_cluster_open(&serve->cluster, serve->options, serve->engine_view,
                                  &serve->hash_key, claims_max(serve), err);
    const struct journal_options options = journal_options_of(serve, false);
    return journal_open(&serve->journal, &options, apply_record, serve, err);
}

static int clone_views(struct serve *serve, struct err *err) {
    serve->events = view_events_count(serve->engine_view);
    warn_of_missing_keys(serve);
    for (uint32_t i = 0; i < servers_count(serve); i++) {
        serve->views[i] = view_clone(serve->engine_view);
        if (serve->views[i] == NULL) return err_set(err, -ENOMEM, "no memory for a view");
    }
    return 0;
}

/* For the copy, which reads the journal beside the server that writes it. */
static int read_journal_again(void *ctx, copy_record_fn on_record, void *on_record_ctx,
                              struct err *err) {
    const struct serve *serve = ctx;
    const struct journal_options options = journal_options_of(serve, true);
    struct journal *journal;
    int code = journal_open(&journal, &options, on_record, on_record_ctx, err);
    if (code == 0) journal_close(journal);
    return code;
}

static int start_copy(struct serve *serve, struct err *err) {
    char path[PATH_MAX];
    int code = proof_copy_path(serve->options, path, err);
    if (code != 0 || path[0] == '\0') return code;
    struct store *store = sqlite_store_new(path, &clock_system);
    struct view *view = view_clone(serve->engine_view);
    if (store == NULL || view == NULL) return err_set(err, -ENOMEM, "no memory for the copy");
    serve->copy = copy_thread_start(&(struct copy_thread_options){
        .store = store,
        .keys = &serve->keys,
        .clock = &clock_system,
        .hash_key = serve->hash_key,
        .view = view,
        .position = serve->position,
        .read_log = read_journal_again,
        .read_log_ctx = serve,
        .stop_timeout_ms = (uint32_t)number(serve, "drain-timeout"),
    });
    if (serve->copy == NULL) return err_set(err, -ENOMEM, "cannot start the copy's thread");
    serve->mailboxes[servers_count(serve)] = copy_thread_mailbox(serve->copy);
    serve->shared.copy = serve->copy;
    return 0;
}

static void wake_engine(void *ctx) {
    struct serve *serve = ctx;
    engine_thread_wake(serve->engine);
}

static void *make_engine(void *ctx, const struct engine_sink *sink) {
    struct serve *serve = ctx;
    return engine_new(serve->engine_view, serve->reserve, serve->log, sink, claims_max(serve));
}

static void *attach_cluster(void *ctx, const struct engine_sink *sink) {
    struct serve *serve = ctx;
    return cluster_attach(serve->cluster.cluster, sink);
}

static int start_cluster(struct serve *serve, struct err *err) {
    struct cluster *cluster = serve->cluster.cluster;
    serve->log = cluster_log(cluster);
    int code = serve_cluster_audit(&serve->cluster, serve->options, servers_count(serve), err);
    if (code != 0) return code;
    serve->shared.cluster = cluster;
    serve->shared.settings = serve->cluster.settings;
    serve->shared.audit = serve->cluster.audit;
    serve->engine = engine_thread_start(&(struct engine_thread_options){
        .ops = &engine_cluster_ops,
        .make = attach_cluster,
        .make_ctx = serve,
        .wait = cluster_wait,
        .wake = cluster_wake,
        .wake_ctx = cluster,
        .log = serve->log,
        .clock = &clock_system,
        .threads = serve->mailboxes,
        .threads_count = servers_count(serve),
    });
    return serve->engine != NULL ? 0 : err_set(err, -ENOMEM, "cannot start the engine's thread");
}

static int start_log_and_engine(struct serve *serve, struct err *err) {
    serve->log = journal_thread_start(serve->journal, &clock_system, wake_engine, serve);
    serve->reserve = reserve_memory_new(&serve->hash_key);
    if (serve->log == NULL || serve->reserve == NULL)
        return err_set(err, -ENOMEM, "cannot start the journal's threads");
    serve->shared.journal = journal_thread_counts(serve->log);
    serve->engine = engine_thread_start(&(struct engine_thread_options){
        .ops = &engine_embedded_ops,
        .make = make_engine,
        .make_ctx = serve,
        .log = serve->log,
        .clock = &clock_system,
        .threads = serve->mailboxes,
        .threads_count = servers_count(serve) + (serve->copy != NULL),
        .followers_count = serve->copy != NULL,
    });
    return serve->engine != NULL ? 0 : err_set(err, -ENOMEM, "cannot start the engine's thread");
}

/* The soft limit of open files is raised to the hard one; what it leaves is what may connect. */
static int raise_file_limit(struct serve *serve, struct err *err) {
    struct rlimit files = {0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    uint64_t own = OWN_FILES + OWN_FILES_PER_THREAD * (uint64_t)servers_count(serve);
    uint64_t needed = own + CONNECTIONS_MIN;
    if (files.rlim_cur < needed)
        return err_set(err, -EMFILE,
                       "the limit of open files is %llu, at least %llu are needed with %u threads: "
                       "raise it (ulimit -n, LimitNOFILE=) or lower --threads",
                       (unsigned long long)files.rlim_cur, (unsigned long long)needed,
                       serve->threads);
    serve->connections_possible = files.rlim_cur - own;
    return 0;
}

static uint64_t connections_max(const struct serve *serve) {
    uint64_t wanted = current_number(serve, "connections-max");
    uint64_t possible = serve->connections_possible;
    if (wanted > possible)
        logger_line(LOG_WARN, "serve",
                    "event=connections_limited connections_max=%llu wanted=%llu "
                    "reason=\"limit of open files\"",
                    (unsigned long long)possible, (unsigned long long)wanted);
    return wanted == 0 || wanted > possible ? possible : wanted;
}

static void set_log_level(const struct options *options) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *wanted = options_get(options, "log-level")->text;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], wanted) == 0) logger_set_level((enum log_level)i);
}

#define STORE(to, value) atomic_store_explicit(&(to), (value), memory_order_relaxed)

/* Every RELOADABLE option takes effect here, at start and again, while the threads run. */
static void apply_reloadable(struct serve *serve) {
    struct server_shared *shared = &serve->shared;
    set_log_level(serve->current);
    STORE(shared->header_timeout_s, current_seconds(serve, "header-timeout"));
    STORE(shared->idle_timeout_s, current_seconds(serve, "idle-timeout"));
    STORE(shared->pipeline_max, (uint32_t)current_number(serve, "pipeline-max"));
    STORE(shared->answer_timeout_ns, current_number(serve, "answer-timeout") * 1000000);
    STORE(shared->drain_timeout_ns, current_number(serve, "drain-timeout") * 1000000);
    STORE(shared->connections_max, connections_max(serve));
    STORE(shared->session_timeout_s, current_seconds(serve, "session-timeout"));
    /* Its options were checked. */
    struct err err;
    struct gate *gate = read_gate(serve->current, &err);
    ASSERT(gate != NULL);
    struct gate *before = atomic_load_explicit(&shared->gate, memory_order_relaxed);
    atomic_store_explicit(&shared->gate, gate_follow(gate, before), memory_order_release);
}

static int make_limit_tables(struct serve *serve, struct err *err) {
    for (size_t i = 0; i < LIMITS; i++) {
        struct hash_key key; /* of its own: what hits one bucket tells nothing about another */
        random_fill(&random_system, &key, sizeof key);
        serve->shared.limit_tables[i] = gcra_table_new(LIMIT_WORDS, &key);
        if (serve->shared.limit_tables[i] == NULL)
            return err_set(err, -ENOMEM, "no memory for limits");
    }
    return 0;
}

static void fill_shared(struct serve *serve) {
    struct server_shared *shared = &serve->shared;
    shared->limits = (struct http_limits){
        .request_line_bytes = (size_t)number(serve, "request-line-max"),
        .headers_bytes = (size_t)number(serve, "headers-max"),
        .headers_count = (size_t)number(serve, "header-fields-max"),
        .body_bytes = (size_t)number(serve, "body-max"),
    };
    shared->inflight_max = (uint32_t)number(serve, "inflight-max");
    apply_reloadable(serve);
    shared->clock = &clock_system;
    shared->keys = &serve->keys;
    shared->admin_token = serve->admin_token;
    shared->version = COUPOND_VERSION;
    shared->folder = options_get(serve->options, "data-dir")->text;
    shared->random = &random_system;
    shared->started_ns = clock_monotonic_ns(&clock_system);
    shared->servers = serve->servers;
    shared->servers_count = servers_count(serve);
}

/* `count` sockets: of the one that was passed, else on the address of an option. The error names
 * either. */
static int open_door(const struct serve *serve, const struct passed_socket *passed,
                     const char *option, int fds[], size_t count, char real[LISTEN_ADDRESS_BYTES],
                     struct err *err) {
    struct err why = {0};
    if (passed->fd >= 0) {
        int code = listener_adopt(passed->fd, fds, count, real, &why);
        if (code != 0) return err_set(err, code, "socket \"%s\": %s", passed->name, why.text);
        logger_line(LOG_INFO, "serve", "event=socket_passed name=%s listen=%s not_used=--%s",
                    passed->name, real, option);
        return 0;
    }
    const char *address = options_get(serve->options, option)->text;
    int code = listener_open(address, (int)number(serve, "backlog"), fds, count, real, &why);
    return code == 0 ? 0 : err_set(err, code, "--%s: %s", option, why.text);
}

static int make_servers(struct serve *serve, struct err *err) {
    int fds[THREADS_MAX + 1];
    struct passed_socket passed[] = {{.name = "public"}, {.name = "admin"}};
    int code = activation_take(passed, ARRAY_LEN(passed), err);
    if (code == 0)
        code = open_door(serve, &passed[0], "listen", fds, serve->threads, serve->listen, err);
    if (code == 0)
        code = open_door(serve, &passed[1], "admin-listen", fds + serve->threads, 1,
                         serve->admin_listen, err);
    if (code != 0) return code;
    const struct route *routes =
        number(serve, "metrics-public") ? public_routes_with_metrics : public_routes;
    for (uint32_t i = 0; i < servers_count(serve); i++) {
        struct sockets *sockets = sockets_system_new();
        if (sockets == NULL) return err_set(err, -errno, "cannot make a set of sockets");
        serve->servers[i] = server_new(
            &(struct server_options){
                .shared = &serve->shared,
                .routes = i < serve->threads ? routes : admin_routes,
                .index = i,
                .listen_fd = fds[i],
                .is_listen_passed = passed[i < serve->threads ? 0 : 1].fd >= 0,
                .view = serve->views[i],
                .sockets = sockets,
                .bearer = serve->bearer == NULL ? NULL : bearer_ref(serve->bearer),
            },
            err);
        if (serve->servers[i] == NULL) return err->code;
        serve->mailboxes[i] = server_mailbox(serve->servers[i]);
    }
    return 0;
}

static int start_servers(struct serve *serve, struct err *err) {
    for (uint32_t i = 0; i < servers_count(serve); i++) {
        int code = server_start(serve->servers[i], serve->engine, err);
        if (code != 0) return code;
    }
    atomic_store(&serve->shared.is_ready, true);
    return 0;
}

static int points_of_views(void *ctx, struct view_point *points, size_t max, size_t *count,
                           struct err *err) {
    const struct serve *serve = ctx;
    (void)err;
    *count = views_points(&serve->shared, serve->engine, points, max);
    return 0;
}

/* The server verifies itself from the same files that `coupond verify` reads. */
static int start_verifier(struct serve *serve, struct err *err) {
    uint32_t every_ms = (uint32_t)number(serve, "verify-every");
    if (every_ms == 0) return 0;
    int code = proof_init(&serve->proof, serve->options, err);
    if (code != 0) return code;
    serve->verifier = reconcile_thread_start(&(struct reconcile_thread_options){
        .reconcile = {.log = serve->proof.sources.log,
                      .copy = serve->proof.sources.copy,
                      .views = {.ctx = serve, .points = points_of_views},
                      .hash_key = serve->hash_key},
        .clock = &clock_system,
        .every_ms = every_ms,
        .recheck_ms = VERIFY_RECHECK_MS,
    });
    serve->shared.verifier = serve->verifier;
    return serve->verifier != NULL ? 0 : err_set(err, -ENOMEM, "cannot start the verifier");
}

static int start(struct serve *serve, struct err *err) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    serve->threads = (uint32_t)number(serve, "threads");
    if (serve->threads == 0)
        serve->threads = processors < 1 ? 1 : (uint32_t)size_min((size_t)processors, THREADS_MAX);
    int code = raise_file_limit(serve, err);
    if (code == 0) fill_shared(serve);
    if (code == 0 && wants_tokens(serve->options))
        code = load_bearer(serve->options, &serve->bearer, err);
    if (code == 0) code = make_limit_tables(serve, err);
    if (code == 0) code = make_folder(serve, err);
    /* Whether there is a journal is seen before one is made; whether a topic has records, after it
     * was read. */
    if (code == 0 && !serve->is_cluster) code = load_secrets(serve, err);
    if (code == 0) code = read_log(serve, err);
    if (code == 0 && serve->is_cluster) code = load_secrets(serve, err);
    if (code == 0) code = clone_views(serve, err);
    if (code == 0) code = make_servers(serve, err);
    if (serve->is_cluster) {
        if (code == 0) code = start_cluster(serve, err);
    } else {
        if (code == 0) code = start_copy(serve, err);
        if (code == 0) code = start_log_and_engine(serve, err);
        if (code == 0) code = start_verifier(serve, err);
    }
    if (code == 0) code = start_servers(serve, err);
    return code;
}

static void stop(struct serve *serve) {
    atomic_store(&serve->shared.is_ready, false);
    for (uint32_t i = 0; i < servers_count(serve); i++) server_drain(serve->servers[i]);
    for (uint32_t i = 0; i < servers_count(serve); i++) server_join(serve->servers[i]);
    reconcile_thread_stop(serve->verifier);
    proof_deinit(&serve->proof);
    engine_thread_stop(serve->engine);
    copy_thread_stop(serve->copy);
    if (!serve->is_cluster) journal_thread_stop(serve->log);
    engine_thread_free(serve->engine);
    for (uint32_t i = 0; i < servers_count(serve); i++) server_free(serve->servers[i]);
    if (serve->is_cluster) {
        serve_cluster_close(&serve->cluster);
    } else {
        serve->reserve->ops->free(serve->reserve);
        journal_close(serve->journal);
    }
    view_free(serve->engine_view);
    journal_lock_release(serve->lock_fd);
    for (size_t i = 0; i < LIMITS; i++) gcra_table_free(serve->shared.limit_tables[i]);
    gate_free(atomic_load_explicit(&serve->shared.gate, memory_order_relaxed));
    options_free(&serve->reloaded);
    bearer_unref(serve->bearer);
}

/* ---- reload ---- */

static const char *said(const struct options *options, size_t i,
                        char scratch[OPTION_NUMBER_BYTES]) {
    const char *text = option_value_format(&options->table[i], &options->values[i], scratch);
    return text == NULL ? "" : text;
}

/* One line when row `i` has changed; true when it has and takes effect. */
static bool log_change(const struct serve *serve, const struct options *fresh, size_t i,
                       uint32_t *restarts) {
    const struct option *row = &fresh->table[i];
    bool is_reloadable = (row->marks & OPTION_RELOADABLE) != 0;
    const struct options *before = is_reloadable ? serve->current : serve->options;
    if ((row->commands & serve->options->command) == 0 || !options_differ(before, fresh, i))
        return false;
    char from[OPTION_NUMBER_BYTES], to[OPTION_NUMBER_BYTES];
    if (is_reloadable) {
        logger_line(LOG_INFO, "serve", "event=option_changed option=%s from=\"%s\" to=\"%s\"",
                    row->name, said(before, i, from), said(fresh, i, to));
        return true;
    }
    *restarts += 1;
    logger_line(LOG_WARN, "serve",
                "event=option_needs_restart option=%s running=\"%s\" configured=\"%s\"", row->name,
                said(before, i, from), said(fresh, i, to));
    return false;
}

/* Every network thread takes the new keys over between two requests. */
static void offer_bearer(struct serve *serve, struct bearer *bearer) {
    for (uint32_t i = 0; i < servers_count(serve); i++)
        server_offer_bearer(serve->servers[i], bearer_ref(bearer));
    bearer_unref(serve->bearer);
    serve->bearer = bearer;
}

/* Reads the options again, and the keys of tokens. A mistake anywhere, and nothing is taken over.
 */
static void reload(struct serve *serve) {
    struct options fresh = {0};
    struct err err = {0};
    int code = options_read_again(serve->options, &fresh, &err);
    struct bearer *bearer = NULL;
    if (code == 0) code = serve_check_options(&fresh, &err);
    if (code == 0 && serve->bearer != NULL) code = load_bearer(&fresh, &bearer, &err);
    if (code != 0) {
        options_free(&fresh);
        for (char *quote; (quote = strchr(err.text, '"')) != NULL;) *quote = '\'';
        logger_line(LOG_ERROR, "serve", "event=reload_refused reason=\"%s\"", err.text);
        return;
    }
    uint32_t changed = 0, restarts = 0;
    for (size_t i = 0; i < fresh.count; i++) changed += log_change(serve, &fresh, i, &restarts);
    options_free(&serve->reloaded);
    serve->reloaded = fresh;
    serve->current = &serve->reloaded;
    apply_reloadable(serve);
    if (bearer != NULL) offer_bearer(serve, bearer);
    logger_line(LOG_INFO, "serve", "event=reloaded changed=%u need_restart=%u", changed, restarts);
}

static void block_signals(sigset_t *signals) {
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* Tells the supervisor that the engine's thread makes turns, and wakes it to make another one. */
static void beat(struct serve *serve) {
    struct engine_health health;
    engine_thread_health(serve->engine, &health);
    if (!notify_beat(&serve->notify, health.turns))
        logger_line(LOG_ERROR, "serve", "event=engine_stands_still turns=%llu",
                    (unsigned long long)health.turns);
    engine_thread_wake(serve->engine);
}

/* The next signal; beats meanwhile, as often as the supervisor wants it. */
static int next_signal(struct serve *serve, const sigset_t *signals) {
    uint64_t beat_ns = notify_beat_ns(&serve->notify);
    if (beat_ns == 0) return sigwaitinfo(signals, NULL);
    const struct timespec wait = {.tv_sec = (time_t)(beat_ns / 1000000000u),
                                  .tv_nsec = (long)(beat_ns % 1000000000u)};
    int signal_number = sigtimedwait(signals, NULL, &wait);
    if (signal_number == SIGHUP || (signal_number < 0 && errno == EAGAIN)) beat(serve);
    return signal_number;
}

/* Until someone asks for the end. A second request ends the process at once, which is as safe as
 * kill -9. */
static const char *wait_for_signal(struct serve *serve, sigset_t *signals) {
    int signal_number;
    do {
        signal_number = next_signal(serve, signals);
        if (signal_number == SIGHUP) reload(serve);
    } while (signal_number < 0 || signal_number == SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    return signal_number == SIGINT ? "SIGINT" : "SIGTERM";
}

int serve_command(const struct options *options, int words, char **word) {
    if (words != 0) {
        fprintf(stderr, "coupond serve: unexpected word %s; see coupond serve --help\n", word[0]);
        return EXIT_USAGE;
    }
    struct err err = {0};
    if (serve_check_options(options, &err) != 0) {
        fprintf(stderr, "coupond serve: %s\n", err.text);
        return EXIT_USAGE;
    }
    sigset_t signals;
    block_signals(&signals);
    umask(077);
    static struct serve serve;
    serve.options = serve.current = options;
    serve.is_cluster = serve_is_cluster(options);
    notify_open(&serve.notify, getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
                getenv("WATCHDOG_PID"));
    if (start(&serve, &err) != 0) {
        fprintf(stderr, "coupond serve: %s\n", err.text);
        return err.code == -EINVAL ? EXIT_USAGE : err.fatal ? EXIT_FAIL_STOP : EXIT_FAILURE;
    }
    if (serve.bearer == NULL && !listener_is_loopback(serve.listen))
        logger_line(LOG_WARN, "serve",
                    "event=no_authentication listen=%s "
                    "hint=\"whoever reaches this address may claim for any user_id\"",
                    serve.listen);
    fprintf(stderr, "ready listen=%s admin_listen=%s events=%u threads=%u data_dir=%s pid=%d\n",
            serve.listen, serve.admin_listen, serve.events, serve.threads, serve.folder,
            (int)getpid());
    notify_send(&serve.notify, "READY=1\nSTATUS=Serving %s, administration on %s", serve.listen,
                serve.admin_listen);
    logger_line(LOG_INFO, "serve", "event=draining signal=%s", wait_for_signal(&serve, &signals));
    notify_send(&serve.notify, "STOPPING=1\nSTATUS=Finishing what is under way");
    stop(&serve);
    notify_close(&serve.notify);
    logger_line(LOG_INFO, "serve", "event=stopped");
    return EXIT_SUCCESS;
}
