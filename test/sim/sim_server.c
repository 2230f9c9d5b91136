/* SPDX-License-Identifier: Apache-2.0
 *
 * The server of a simulated world: the real parts on their real threads, put together in the order
 * of serve.c by a main thread that then waits for the order to stop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes.h"
#include "claim/coupon_code.h"
#include "claim/engine.h"
#include "claim/engine_ops.h"
#include "claim/reserve.h"
#include "log/journal_thread.h"
#include "sim/heap_sim.h"
#include "sim/sim_world.h"

static const struct hash_key hash_key = {{0x1234, 0x5678}};
static const struct code_keys code_keys = {
    .count = 1,
    .keys = {{.id = SIM_KEY_ID, .key = "the key of a simulated world"}},
    .current = SIM_KEY_ID};

/* libc and the journal are told of no world: there is one at a time. */
static struct sim_world *the_world;

/* ---- What the engine has decided ---- */

static void apply_to_model(struct sim_world *world, const struct record *record,
                           const void *encoded) {
    model_apply(&world->model, record, record_crc(encoded));
    world->counts->records++;
    sim_note(world, record_crc(encoded));
    if (record->type == RECORD_WIN) sim_check_win(world, record);
    if (world->model.wrong != NULL) sim_violation(world, "%s", world->model.wrong);
}

/* The engine's view has applied the same records: both opinions have to agree. */
static void compare_with_judges(struct sim_world *world) {
    for (uint32_t i = 0; i < view_events_count(world->server.view); i++) {
        const struct event *event = view_at(world->server.view, i);
        const struct judge_state *state = judge_state(event->judge);
        const struct model_event *model = &world->model.events[sim_number(event->id)];
        if (state->taken != model->taken || state->stock != model->stock ||
            state->closed != model->closed || state->paused != model->paused ||
            state->starts_ms != model->starts_ms || state->ends_ms != model->ends_ms)
            sim_violation(world, "the judge says %u of %u taken in e%u, the model %u of %u",
                          state->taken, state->stock, sim_number(event->id), model->taken,
                          model->stock);
    }
}

static void on_records(void *ctx, struct slice records) {
    struct sim_world *world = ctx;
    heap_sim_leave();
    for (size_t at = 0, bytes; at < records.n; at += bytes) {
        struct record record;
        enum record_status status =
            record_decode(slice_of(records.p + at, records.n - at), &record, &bytes);
        ASSERT(status == RECORD_OK);
        apply_to_model(world, &record, records.p + at);
    }
    if (world->server.commit != COMMIT_DONE)
        sim_violation(world, "I3: judged before it was durable");
    world->server.commit = COMMIT_NONE;
    world->server.commit_count = 0;
    compare_with_judges(world);
    sim_trace(world, "log up to %llu", (unsigned long long)world->model.offset);
    heap_sim_enter();
    world->server.sink.on_records(world->server.sink.ctx, records);
}

static void on_answer(void *ctx, uint32_t thread, uint64_t token, enum claim_outcome outcome) {
    struct sim_world *world = ctx;
    sim_engine_answered(world, thread, token, outcome);
    world->server.sink.on_answer(world->server.sink.ctx, thread, token, outcome);
}

static void on_control(void *ctx, uint64_t token, enum control_outcome outcome) {
    struct sim_world *world = ctx;
    world->server.sink.on_control(world->server.sink.ctx, token, outcome);
}

static void on_failed(void *ctx, int code) {
    struct sim_world *world = ctx;
    sim_trace(world, "the log failed: %d", code);
    world->server.has_failed = true;
    world->counts->fail_stops++;
    world->server.sink.on_failed(world->server.sink.ctx, code);
}

static void *make_engine(void *ctx, const struct engine_sink *sink) {
    struct sim_world *world = ctx;
    struct sim_server *server = &world->server;
    server->sink = *sink;
    const struct engine_sink watched = {world, on_records, on_answer, on_control, on_failed};
    return engine_new(server->view, server->reserve, server->log, &watched,
                      server->shared.inflight_max * (server->networks_count + 1));
}

/* ---- The journal's two threads ---- */

int __wrap_journal_append(struct journal *journal, void *records, size_t bytes, size_t count);
int __real_journal_append(struct journal *journal, void *records, size_t bytes, size_t count);
struct journal_segment *__wrap_journal_segment_prepare(const struct journal *journal,
                                                       struct err *err);
struct journal_segment *__real_journal_segment_prepare(const struct journal *journal,
                                                       struct err *err);
struct coupon_deriver *__wrap_coupon_deriver_new(const unsigned char key[CODE_KEY_BYTES]);
struct coupon_deriver *__real_coupon_deriver_new(const unsigned char key[CODE_KEY_BYTES]);
void __wrap_coupon_deriver_free(struct coupon_deriver *deriver);

int __wrap_journal_append(struct journal *journal, void *records, size_t bytes, size_t count) {
    struct sim_server *server = &the_world->server;
    ASSERT(server->commit == COMMIT_NONE);
    server->commit = COMMIT_WRITES;
    server->commit_count = count;
    bool had_prepared = !journal_wants_segment(journal);
    int code = __real_journal_append(journal, records, bytes, count);
    if (code == 0) server->commit = COMMIT_DONE;
    server->commits += code == 0;
    if (had_prepared && journal_wants_segment(journal)) the_world->counts->rolls++;
    sim_trace(the_world, "commit of %zu: %d", count, code);
    return code;
}

struct journal_segment *__wrap_journal_segment_prepare(const struct journal *journal,
                                                       struct err *err) {
    the_world->server.is_preparing = true;
    struct journal_segment *segment = __real_journal_segment_prepare(journal, err);
    the_world->server.is_preparing = false;
    sim_trace(the_world, "prepare: %s", segment == NULL ? "failed" : "done");
    the_world->counts->rolls_prepared += segment != NULL;
    return segment;
}

/* One for all lives of all worlds: its memory is libcrypto's, and would be lost with each. */
struct coupon_deriver *__wrap_coupon_deriver_new(const unsigned char key[CODE_KEY_BYTES]) {
    static struct coupon_deriver *only;
    ASSERT(memcmp(key, code_keys.keys[0].key, CODE_KEY_BYTES) == 0);
    unsigned depth = heap_sim_depth();
    heap_sim_set_depth(0);
    if (only == NULL) only = __real_coupon_deriver_new(key);
    heap_sim_set_depth(depth);
    return only;
}

void __wrap_coupon_deriver_free(struct coupon_deriver *deriver) {
    (void)deriver;
}

struct coupon_deriver *sim_deriver(void) {
    return __wrap_coupon_deriver_new(code_keys.keys[0].key);
}

/* ---- Start, on the main thread ---- */

static int on_record(void *ctx, const struct record *record, struct slice encoded) {
    struct sim_world *world = ctx;
    world->server.position = copy_position(record, encoded);
    heap_sim_leave();
    apply_to_model(world, record, encoded.p);
    heap_sim_enter();
    return view_apply(world->server.view, record, NULL);
}

static struct journal_options journal_options_of(struct sim_world *world, bool read_only) {
    return (struct journal_options){.folder = "data",
                                    .segment_bytes = read_only ? 0 : SIM_SEGMENT_BYTES,
                                    .disk = &world->watched,
                                    .random = &world->random.source,
                                    .read_only = read_only};
}

static int read_journal_again(void *ctx, copy_record_fn fn, void *fn_ctx, struct err *err) {
    const struct journal_options options = journal_options_of(ctx, true);
    struct journal *journal;
    int code = journal_open(&journal, &options, fn, fn_ctx, err);
    if (code == 0) journal_close(journal);
    return code;
}

/* Everything acknowledged is there, unchanged; behind it is at most the batch that was in doubt. */
static void compare_with_before(struct sim_world *world, const struct model *before) {
    const struct model *now = &world->model;
    for (uint64_t seq = 1; seq <= before->offset; seq++)
        if (before->crcs[seq] != 0 && (seq > now->offset || now->crcs[seq] != before->crcs[seq]))
            sim_violation(world, "I4: record %llu was acknowledged and is lost or changed",
                          (unsigned long long)seq);
    uint64_t more = 0;
    for (uint64_t seq = before->offset + 1; seq <= now->offset; seq++)
        if (now->crcs[seq] != 0) more++;
    if (more > world->doubt_count)
        sim_violation(world, "%llu records more than were ever written",
                      (unsigned long long)(more - world->doubt_count));
    if (more < world->written_count)
        sim_violation(world, "I4: a batch that was written and synced is lost");
    if (world->doubt_count > 0 && more == 0) world->counts->batches_lost_after_doubt++;
    if (more > 0) world->counts->batches_found_after_doubt++;
    world->doubt_count = world->written_count = 0;
}

static int read_journal(struct sim_world *world, struct err *err) {
    struct sim_server *server = &world->server;
    server->view = view_new(&hash_key);
    if (server->view == NULL) return err_set(err, -ENOMEM, "no memory for a view");
    const struct journal_options options = journal_options_of(world, false);
    struct model before = world->model;
    model_init(&world->model);
    int code = journal_open(&server->journal, &options, on_record, world, err);
    heap_sim_leave();
    if (code == 0) {
        compare_with_before(world, &before);
        model_deinit(&before);
    } else {
        model_deinit(&world->model);
        world->model = before;
    }
    heap_sim_enter();
    return code;
}

/* So small that they forget. */
static int make_limit_tables(struct sim_server *server, struct err *err) {
    enum { LIMIT_WORDS = 8 };
    for (size_t i = 0; i < LIMITS; i++) {
        server->shared.limit_tables[i] = gcra_table_new(LIMIT_WORDS, &hash_key);
        if (server->shared.limit_tables[i] == NULL)
            return err_set(err, -ENOMEM, "no memory for limits");
    }
    return 0;
}

static int make_servers(struct sim_world *world, struct err *err) {
    struct sim_server *server = &world->server;
    for (uint32_t i = 0; i <= server->networks_count; i++) {
        struct view *view = view_clone(server->view);
        struct sockets *sockets = net_sim_sockets_new(i);
        if (view == NULL || sockets == NULL) return err_set(err, -ENOMEM, "no memory for a thread");
        server->servers[i] = server_new(
            &(struct server_options){
                .shared = &server->shared,
                .routes = i < server->networks_count ? public_routes : admin_routes,
                .index = i,
                .listen_fd = net_sim_listener_fd(i),
                .view = view,
                .sockets = sockets,
            },
            err);
        if (server->servers[i] == NULL) return err->code;
        server->mailboxes[i] = server_mailbox(server->servers[i]);
    }
    return 0;
}

static int start_copy(struct sim_world *world, struct err *err) {
    struct sim_server *server = &world->server;
    struct view *view = view_clone(server->view);
    if (view == NULL) return err_set(err, -ENOMEM, "no memory for the copy");
    threads_sim_expect(THREAD_COPY, 1);
    server->copy = copy_thread_start(&(struct copy_thread_options){
        .store = &world->store.store,
        .keys = &code_keys,
        .clock = &threads_sim_clock,
        .hash_key = hash_key,
        .view = view,
        .position = server->position,
        .read_log = read_journal_again,
        .read_log_ctx = world,
        .stop_timeout_ms = 5000,
    });
    if (server->copy == NULL) return err_set(err, -ENOMEM, "cannot start the copy's thread");
    server->mailboxes[server->networks_count + 1] = copy_thread_mailbox(server->copy);
    server->shared.copy = server->copy;
    return 0;
}

static void wake_engine(void *ctx) {
    struct sim_world *world = ctx;
    engine_thread_wake(world->server.engine);
}

static int start_log_and_engine(struct sim_world *world, struct err *err) {
    struct sim_server *server = &world->server;
    threads_sim_expect(THREAD_PREPARER, 1);
    threads_sim_expect(THREAD_COMMITTER, 1);
    server->log = journal_thread_start(server->journal, &threads_sim_clock, wake_engine, world);
    server->reserve = reserve_memory_new(&hash_key);
    if (server->log == NULL || server->reserve == NULL)
        return err_set(err, -ENOMEM, "cannot start the journal's threads");
    server->shared.journal = journal_thread_counts(server->log);
    threads_sim_expect(THREAD_ENGINE, 1);
    server->engine = engine_thread_start(&(struct engine_thread_options){
        .ops = &engine_embedded_ops,
        .make = make_engine,
        .make_ctx = world,
        .log = server->log,
        .clock = &threads_sim_clock,
        .threads = server->mailboxes,
        .threads_count = server->networks_count + 2,
        .followers_count = 1,
    });
    return server->engine != NULL ? 0 : err_set(err, -ENOMEM, "cannot start the engine's thread");
}

static int start_servers(struct sim_server *server, struct err *err) {
    threads_sim_expect(THREAD_NETWORK, server->networks_count + 1);
    for (uint32_t i = 0; i <= server->networks_count; i++) {
        int code = server_start(server->servers[i], server->engine, err);
        if (code != 0) return code;
    }
    return 0;
}

static int start(struct sim_world *world, struct err *err) {
    int code = read_journal(world, err);
    if (code == 0) code = make_limit_tables(&world->server, err);
    if (code == 0) code = make_servers(world, err);
    if (code == 0) code = start_copy(world, err);
    if (code == 0) code = start_log_and_engine(world, err);
    if (code == 0) code = start_servers(&world->server, err);
    return code;
}

static void stop(struct sim_server *server) {
    for (uint32_t i = 0; i <= server->networks_count; i++) server_drain(server->servers[i]);
    for (uint32_t i = 0; i <= server->networks_count; i++) server_join(server->servers[i]);
    engine_thread_stop(server->engine);
    copy_thread_stop(server->copy);
    server->copy = NULL;
    journal_thread_stop(server->log);
    server->log = NULL;
    engine_thread_free(server->engine);
    server->engine = NULL;
    for (uint32_t i = 0; i <= server->networks_count; i++) server_free(server->servers[i]);
    for (size_t i = 0; i < LIMITS; i++) gcra_table_free(server->shared.limit_tables[i]);
    server->networks_count = 0;
    server->reserve->ops->free(server->reserve);
    journal_close(server->journal);
    view_free(server->view);
}

static void *run_main(void *ctx) {
    struct sim_world *world = ctx;
    struct sim_server *server = &world->server;
    struct err err = {0};
    if (start(world, &err) != 0) {
        snprintf(server->start_error, sizeof server->start_error, "%s", err.text);
        return NULL;
    }
    server->is_started = true;
    threads_sim_yield();
    while (!server->wants_stop) (void)threads_sim_wait(&server->wants_stop, UINT64_MAX);
    stop(server);
    server->has_stopped = true;
    return NULL;
}

/* ---- The simulator's side ---- */

static void on_store_mood(void *ctx, enum store_sim_mood mood) {
    static const enum sim_fault faults[] = {[STORE_SIM_BUSY] = FAULT_STORE_BUSY,
                                            [STORE_SIM_UNKNOWN] = FAULT_STORE_UNKNOWN,
                                            [STORE_SIM_DAMAGED] = FAULT_STORE_DAMAGED};
    sim_struck(ctx, faults[mood]);
}

static void on_store_commit(void *ctx) {
    struct sim_world *world = ctx;
    world->counts->copy_commits++;
    sim_check_copy(world, false);
}

void sim_server_init(struct sim_world *world) {
    the_world = world;
    store_sim_init(&world->store);
    world->store.ctx = world;
    world->store.on_mood = on_store_mood;
    world->store.on_commit = on_store_commit;
    threads_sim_reset();
}

/* Believes no proxy and lists no origin; limits, if at all, rather than not. */
static void draw_gate(struct sim_world *world) {
    struct gate *gate = &world->server.gate;
    for (size_t i = 0; i < LIMITS && world->swarm.limits; i++) {
        if (sim_chance(world, 100)) continue;
        gate->rates[i].interval_us = 1 + (uint32_t)sim_below(world, 500000);
        gate->rates[i].burst = 1 + (uint32_t)sim_below(world, 12);
        gate->is_limiting = true;
    }
    gate->limits_loopback = gate->is_limiting && sim_chance(world, 128);
    world->server.shared.gate = gate;
}

/* How this run of the server is set up. */
static void draw_options(struct sim_world *world) {
    struct sim_server *server = &world->server;
    struct server_shared *shared = &server->shared;
    server->networks_count = 1 + (uint32_t)sim_below(world, SIM_NETWORKS_MAX);
    shared->limits = (struct http_limits){
        .request_line_bytes = 1024, .headers_bytes = 2048, .headers_count = 20, .body_bytes = 1024};
    shared->inflight_max = 4 + (uint32_t)sim_below(world, 44);
    shared->header_timeout_s = 1 + (uint32_t)sim_below(world, 10);
    shared->idle_timeout_s = 2 + (uint32_t)sim_below(world, 60);
    shared->pipeline_max = 1 + (uint32_t)sim_below(world, SIM_PIPELINE_MAX);
    shared->answer_timeout_ns = UINT64_C(1000000) * (50 + sim_below(world, 3000));
    shared->drain_timeout_ns = UINT64_C(1000000) * sim_below(world, 6000);
    shared->connections_max = 2 + sim_below(world, 2 * SIM_CONNECTIONS);
    shared->session_timeout_s = 3600;
    draw_gate(world);
    shared->clock = &threads_sim_clock;
    shared->keys = &code_keys;
    shared->admin_token = SIM_ADMIN_TOKEN;
    shared->version = "sim";
    shared->folder = "data";
    shared->random = &world->random.source;
    shared->started_ns = threads_sim_now_ns();
    shared->servers = server->servers;
    shared->servers_count = server->networks_count + 1;
    shared->is_ready = true;
}

static void make_process(struct sim_world *world, void *(*run)(void *ctx)) {
    world->server = (struct sim_server){.runs = true};
    for (uint32_t i = 0; i < SIM_EVENTS_MAX; i++) world->told[i].ended = false;
    threads_sim_start(THREAD_MAIN, run, world);
}

/* What the slice has done to the process' memory, and how it ended. */
static void note_end(struct sim_world *world, uint64_t failures, unsigned phases) {
    struct sim_server *server = &world->server;
    bool has_failed = heap_sim_failures() != failures;
    if (has_failed) {
        server->was_out_of_memory = true;
        sim_struck_in(world, FAULT_NO_MEMORY, phases);
        sim_trace(world, "an allocation failed");
    }
    if (threads_sim_end() == PROCESS_ASSERTED)
        sim_violation(world, "assertion failed: %s", threads_sim_assertion());
    if (threads_sim_end() == PROCESS_OUT_OF_MEMORY) {
        sim_trace(world, "fail-stop: out of memory");
        world->counts->out_of_memory++;
        if (!server->was_out_of_memory) sim_violation(world, "out of memory, but there was some");
    }
    if (threads_sim_end() == PROCESS_EXITED && threads_sim_exit_status() != 70)
        sim_violation(world, "ended with status %d", threads_sim_exit_status());
    if (threads_sim_end() == PROCESS_EXITED && !server->has_failed)
        sim_violation(world, "ended without a failure of the log");
}

/* A thread that waits has told everybody whose time is up that it is. */
static void check_deadlines(struct sim_world *world, const struct server *server) {
    enum { SLACK_MS = 60 }; /* the timer's period, and what the loop rounds up */
    if (link_is_alone(&server->waiting.due)) return;
    const struct waiting *place = CONTAINER_OF(server->waiting.due.next, struct waiting, due);
    uint64_t due_ns = place->since_ns + server->shared->answer_timeout_ns;
    if (threads_sim_now_ns() > due_ns + SLACK_MS * UINT64_C(1000000))
        sim_violation(world, "a claim is neither answered nor told to be pending in its time");
}

/* What a network thread has done in its slice. */
static void check_network(struct sim_world *world, uint32_t index) {
    const struct server *server = world->server.servers[index];
    int64_t *told_ms = &world->server.told_ms[index];
    if (server->engine_ms < *told_ms)
        sim_violation(world, "I9: the time of thread %u ran backwards", index);
    *told_ms = server->engine_ms;
    enum thread_role role = (enum thread_role)(THREAD_NETWORK + index);
    if (threads_sim_is_alive(role) && !threads_sim_is_ready(role)) check_deadlines(world, server);
}

void sim_server_run(struct sim_world *world, enum thread_role role) {
    uint64_t failures = heap_sim_failures();
    unsigned phases = sim_server_phases(world);
    world->counts->slices++;
    sim_note(world, (uint64_t)role);
    threads_sim_resume(role);
    if (role == THREAD_ENGINE && world->server.now_ms < threads_sim_wall_ms())
        world->server.now_ms = threads_sim_wall_ms();
    note_end(world, failures, phases);
    uint32_t index = (uint32_t)role - THREAD_NETWORK;
    if (role < THREAD_NETWORK || index > world->server.networks_count) return;
    check_network(world, index);
}

bool sim_server_has_ended(const struct sim_world *world) {
    return threads_sim_end() != PROCESS_RUNS || world->server.has_stopped;
}

static bool main_has_started(struct sim_world *world) {
    while (threads_sim_is_ready(THREAD_MAIN) && threads_sim_end() == PROCESS_RUNS) {
        sim_server_run(world, THREAD_MAIN);
        if (world->server.is_started) return true;
    }
    return false;
}

bool sim_server_start(struct sim_world *world) {
    make_process(world, run_main);
    draw_options(world);
    world->counts->starts++;
    if (main_has_started(world)) {
        sim_trace(world, "started, log up to %llu", (unsigned long long)world->model.offset);
        sim_check_promises(world);
        compare_with_judges(world);
        world->server.now_ms = world->model.latest_ms;
        return true;
    }
    sim_trace(world, "start failed: %s", world->server.start_error);
    world->counts->starts_failed++;
    world->counts->starts_out_of_memory += world->server.was_out_of_memory;
    return false;
}

unsigned sim_server_phases(const struct sim_world *world) {
    static const unsigned commits[] = {[COMMIT_WRITES] = 1u << PHASE_WRITE,
                                       [COMMIT_SYNCS] = 1u << PHASE_SYNC,
                                       [COMMIT_MARKS] = 1u << PHASE_MARK,
                                       [COMMIT_DONE] = 1u << PHASE_DURABLE};
    const struct sim_server *server = &world->server;
    if (!server->is_started) return 1u << PHASE_START;
    unsigned phases = commits[server->commit];
    if (server->commit == COMMIT_NONE && server->log != NULL &&
        !server->log->ops->is_idle(server->log))
        phases |= 1u << PHASE_HANDED;
    bool is_asked = server->engine != NULL && engine_thread_mailbox(server->engine)->first != NULL;
    if (is_asked || net_sim_is_busy()) phases |= 1u << PHASE_ASKED;
    for (uint32_t i = 0; i <= server->networks_count && server->engine != NULL; i++)
        if (server->mailboxes[i]->first != NULL) phases |= 1u << PHASE_TELL;
    if (net_sim_is_choked()) phases |= 1u << PHASE_ANSWER;
    if (world->connections[SIM_CONNECTIONS - 1].count > 0) phases |= 1u << PHASE_CONTROL;
    if (server->is_preparing) phases |= 1u << PHASE_PREPARE;
    if (world->store.at.seq != world->model.offset) phases |= 1u << PHASE_COPY;
    return phases != 0 ? phases : 1u << PHASE_IDLE;
}

bool sim_server_is_quiet(const struct sim_world *world) {
    const struct sim_server *server = &world->server;
    return !sim_client_waits(world) && server->commit == COMMIT_NONE &&
           server->log->ops->is_idle(server->log) && world->store.at.seq == world->model.offset;
}

void sim_server_end(struct sim_world *world) {
    struct sim_server *server = &world->server;
    if (!server->runs) return;
    server->runs = false;
    /* Beside what a start that failed has not found out about. */
    world->doubt_count += server->commit_count;
    world->written_count += server->commit == COMMIT_DONE ? server->commit_count : 0;
    if (server->copy != NULL && server->is_started) {
        struct recorder_health health;
        copy_thread_health(server->copy, &health);
        world->counts->copy_rebuilds += health.rebuilds;
        if (health.state == RECORDER_IS_STOPPED && !server->was_out_of_memory)
            sim_violation(world, "the copy stopped: %s",
                          world->store.wrong == NULL ? "?" : world->store.wrong);
    }
    net_sim_reset();
    uv_sim_reset();
    threads_sim_reset();
}

/* ---- Before the server ---- */

static uint32_t fill_count;

static void *run_fill(void *ctx) {
    _Alignas(8) static char records[SIM_SEGMENT_BYTES];
    static const char reason[REASON_BYTES_MAX] = {[0 ... REASON_BYTES_MAX - 1] = 'r'};
    enum { FILLER_BYTES_MAX = 512 };
    struct sim_world *world = ctx;
    struct err err = {0};
    int code = read_journal(world, &err);
    ASSERT(code == 0);
    struct record record = {.type = RECORD_OPEN,
                            .ms = threads_sim_wall_ms(),
                            .event_id = SLICE("e0"),
                            .reason = slice_of(reason, sizeof reason),
                            .open = {.stock = SIM_STOCK_MAX,
                                     .ends_ms = TIME_MS_MAX,
                                     .key_id = SIM_KEY_ID,
                                     .code = code_format_default}};
    if (world->model.events[0].opened) record.type = RECORD_RESUME;
    size_t bytes = 0;
    uint64_t room = journal_room_bytes(world->server.journal), written = 0;
    for (; written < fill_count && bytes + FILLER_BYTES_MAX <= room; written++) {
        bytes += record_encode(records + bytes, &record);
        record.type = RECORD_RESUME;
    }
    code = written == 0 ? 0 : journal_append(world->server.journal, records, bytes, written);
    ASSERT(code == 0);
    world->told[0].opened |= written > 0;
    return NULL;
}

void sim_server_fill(struct sim_world *world, uint32_t count) {
    fill_count = count;
    make_process(world, run_fill);
    (void)main_has_started(world);
    sim_server_end(world);
}
