/* SPDX-License-Identifier: Apache-2.0 */
#include "api/server.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/admin.h"
#include "api/connection.h"
#include "api/console.h"
#include "api/page.h"
#include "api/routes.h"
#include "lib/logger.h"
#include "log/record.h"

enum { ANSWERS_DUE_MS = 25, EVENTS_MAX = 256 };

/* How long a drain lets a client that is connected and silent ask once more, and so learn from its
 * answer that this connection ends. Most who are busy do; who is closed while asking would not know
 * whether that claim was taken. */
#define DRAIN_QUIET_NS UINT64_C(500000000)

/* ---- towards the engine ---- */

static void send_claims(struct server *server) {
    if (server->claims == NULL) return;
    struct to_engine *parcel = server->claims;
    server->claims = NULL;
    parcel->parcel.next = NULL;
    mailbox_send(engine_thread_mailbox(server->engine), &parcel->parcel);
}

void server_send_claim(struct server *server, const struct claim *claim) {
    if (server->claims == NULL) {
        server->claims = memory_needed(
            malloc(sizeof *server->claims + CLAIMS_IN_PARCEL * sizeof(struct claim)));
        server->claims->kind = TO_ENGINE_CLAIMS;
        server->claims->thread = server->index;
        server->claims->count = 0;
    }
    struct claim *claims = (struct claim *)(void *)server->claims->body;
    claims[server->claims->count++] = *claim;
    if (server->claims->count == CLAIMS_IN_PARCEL) send_claims(server);
}

void server_send_control(struct server *server, const struct record *record, uint64_t token) {
    struct to_engine *parcel = memory_needed(malloc(sizeof *parcel + RECORD_BYTES_MAX));
    parcel->parcel.next = NULL;
    parcel->kind = TO_ENGINE_CONTROL;
    parcel->thread = server->index;
    parcel->token = token;
    parcel->bytes = (uint32_t)record_encode(parcel->body, record);
    ASSERT(parcel->bytes != 0); /* the asker has checked every field */
    mailbox_send(engine_thread_mailbox(server->engine), &parcel->parcel);
}

/* This thread's view has reached `offset`; UINT64_MAX when nobody needs to wait for it any more. */
static void send_applied(struct server *server, uint64_t offset) {
    struct to_engine *parcel = memory_needed(malloc(sizeof *parcel));
    parcel->parcel.next = NULL;
    parcel->kind = TO_ENGINE_APPLIED;
    parcel->thread = server->index;
    parcel->offset = offset;
    mailbox_send(engine_thread_mailbox(server->engine), &parcel->parcel);
}

/* ---- from the engine ---- */

static void apply_records(struct server *server, struct record_block *block) {
    struct slice records = slice_of(block->records, block->bytes);
    while (records.n != 0) {
        struct record record;
        size_t bytes;
        ASSERT(record_decode(records, &record, &bytes) == RECORD_OK);
        /* A view that lost a record would tell people wrong things: better no server than that. */
        if (view_apply(server->view, &record, NULL) != 0) memory_needed(NULL);
        records = slice_of(records.p + bytes, records.n - bytes);
    }
    counts_reserve(&server->counts, view_events_count(server->view));
    counter_set(&server->counts.view_offset, view_offset(server->view));
    view_mark_publish(&server->view_mark, server->view);
    bool wants_applied = block->wants_applied;
    record_block_release(block);
    if (wants_applied) send_applied(server, view_offset(server->view));
}

/* The engine has answered a place; whoever still waits there is served when the tick is applied. */
static void on_answer(struct server *server, uint64_t token, uint8_t outcome, uint64_t now_ns) {
    struct waiting *place = waiting_at(&server->waiting, token);
    if (place->is_claim)
        histogram_record(&server->counts.claim_ns, &histogram_seconds, now_ns - place->since_ns);
    if (place->state == WAITING_LEFT) {
        if (place->is_claim) counter_add(&server->counts.unheard, 1);
        waiting_release(&server->waiting, place);
        return;
    }
    ASSERT(place->state == WAITING_ENGINE || place->state == WAITING_LATE);
    link_remove(&place->due);
    place->state = WAITING_READY;
    place->outcome = outcome;
    connection_answered(place);
}

static void receive(struct server *server, struct from_engine *message) {
    server->engine_ms = message->now_ms;
    uint64_t now_ns =
        message->kind == FROM_ENGINE_ANSWERS ? clock_monotonic_ns(server->shared->clock) : 0;
    switch (message->kind) {
    case FROM_ENGINE_RECORDS:
        apply_records(server, message->block);
        break;
    case FROM_ENGINE_ANSWERS:
        for (uint32_t i = 0; i < message->count; i++)
            on_answer(server, message->answers[i].token, (uint8_t)message->answers[i].outcome,
                      now_ns);
        break;
    case FROM_ENGINE_CONTROL:
        on_answer(server, message->control.token, (uint8_t)message->control.outcome, now_ns);
        break;
    case FROM_ENGINE_TIME:
        break;
    case FROM_ENGINE_FAILED:
        server->has_failed = true;
        connection_flush_touched(server);
        engine_thread_failed_seen(server->engine);
        break;
    }
    free(message);
}

static void on_mail(uv_async_t *mail) {
    struct server *server = CONTAINER_OF(mail, struct server, mail);
    struct parcel *parcel = mailbox_take(&server->box);
    while (parcel != NULL) {
        struct parcel *next = parcel->next;
        receive(server, CONTAINER_OF(parcel, struct from_engine, parcel));
        parcel = next;
    }
    connection_flush_touched(server);
}

static void wake(void *ctx) {
    uv_async_send(&((struct server *)ctx)->mail);
}

/* ---- time ---- */

static void refresh_date(struct server *server) {
    http_date_format(clock_wall_ms(server->shared->clock), server->date);
    sold_out_reply_make(&server->sold_out, server->date);
}

static uint32_t seconds_running(const struct server *server) {
    uint64_t ns = clock_monotonic_ns(server->shared->clock) - server->shared->started_ns;
    return (uint32_t)(ns / 1000000000u) + 1;
}

/* A claim that is not decided in time is answered 202: its place stays until the engine answers. */
static void answer_late_ones(struct server *server, bool all) {
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    uint64_t answer_timeout_ns = SERVER_SETTING(server, answer_timeout_ns);
    while (!link_is_alone(&server->waiting.due)) {
        struct waiting *place = CONTAINER_OF(server->waiting.due.next, struct waiting, due);
        if (!all && place->since_ns + answer_timeout_ns > now_ns) break;
        connection_give_up(place);
    }
    connection_flush_touched(server);
}

static void on_answers_due(uv_timer_t *timer) {
    struct server *server = CONTAINER_OF(timer, struct server, answers_due);
    answer_late_ones(server, false);
    if (link_is_alone(&server->waiting.due)) uv_timer_stop(timer);
}

uint64_t server_await_answer(struct server *server) {
    if (!uv_is_active((uv_handle_t *)&server->answers_due))
        uv_timer_start(&server->answers_due, on_answers_due, ANSWERS_DUE_MS, ANSWERS_DUE_MS);
    return clock_monotonic_ns(server->shared->clock);
}

static void close_handle(uv_handle_t *handle) {
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static void end_loop(struct server *server) {
    send_applied(server, UINT64_MAX);
    /* Other threads may still wake these: they stay until server_free, but hold nothing up. */
    uv_unref((uv_handle_t *)&server->mail);
    uv_unref((uv_handle_t *)&server->drain);
    uv_unref((uv_handle_t *)&server->offer);
    close_handle((uv_handle_t *)&server->second);
    close_handle((uv_handle_t *)&server->answers_due);
    if (server->console != NULL) console_close(server->console);
    server->is_over = true;
}

/* One step of draining: in the end closes what is idle; everything when the time is up, whatever
 * the engine still owes. True when all is done. */
static bool drain_step(struct server *server) {
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    bool is_late = now_ns >= server->drain_until_ns;
    if (is_late) answer_late_ones(server, true);
    if (is_late || now_ns >= server->drain_quiet_ns) connection_drain_all(server, is_late);
    return (is_late || server->waiting.used == 0) && connection_count(server) == 0;
}

void server_rest_from_accepting(struct server *server) {
    server->is_resting = true;
    server->sockets->ops->forget(server->sockets, server->listen_fd);
}

static void end_rest(struct server *server) {
    if (!server->is_resting || server->is_draining) return;
    server->is_resting = server->sockets->ops->watch_level(server->sockets, server->listen_fd,
                                                           &server->listen_fd) != 0;
}

static void on_second(uv_timer_t *timer) {
    struct server *server = CONTAINER_OF(timer, struct server, second);
    uint32_t now_s = seconds_running(server);
    while (server->now_s < now_s) {
        server->now_s++;
        connection_wheel_turn(server);
    }
    refresh_date(server);
    end_rest(server);
    if (server->console != NULL) console_second(server->console);
    if (server->is_draining && drain_step(server)) end_loop(server);
}

/* ---- tokens ---- */

void server_offer_bearer(struct server *server, struct bearer *bearer) {
    bearer_unref(atomic_exchange(&server->offered, bearer)); /* one that came too late */
    uv_async_send(&server->offer);
}

static void on_offer(uv_async_t *async) {
    struct server *server = CONTAINER_OF(async, struct server, offer);
    struct bearer *offered = atomic_exchange(&server->offered, NULL);
    if (offered == NULL) return;
    bearer_unref(server->bearer);
    server->bearer = offered;
}

/* ---- life ---- */

static void on_drain(uv_async_t *async) {
    enum { DRAIN_STEP_MS = 20 };
    struct server *server = CONTAINER_OF(async, struct server, drain);
    if (server->is_draining) return;
    server->is_draining = true;
    uint64_t now_ns = clock_monotonic_ns(server->shared->clock);
    server->drain_quiet_ns = now_ns + DRAIN_QUIET_NS;
    server->drain_until_ns = now_ns + SERVER_SETTING(server, drain_timeout_ns);
    /* Whoever stands in the backlog was let in by the kernel. With a socket of our own they would
     * be reset, so they are served; with one that outlives us they wait for who comes next. */
    if (!server->is_listen_passed) connection_accept(server);
    /* Forgotten by name: a socket that outlives us would go on telling of who knocks. */
    server->sockets->ops->forget(server->sockets, server->listen_fd);
    close(server->listen_fd);
    server->listen_fd = -1;
    uv_timer_start(&server->second, on_second, DRAIN_STEP_MS, DRAIN_STEP_MS);
}

static void *malloc_needed(size_t bytes) {
    return memory_needed(malloc(bytes));
}

static void *calloc_needed(size_t count, size_t bytes) {
    return memory_needed(calloc(count, bytes));
}

static void *realloc_needed(void *before, size_t bytes) {
    return memory_needed(realloc(before, bytes));
}

/* Without memory libuv aborts without a word, and jansson says of a good text that it is bad: its
 * error tells one from the other only sometimes. No thread runs yet. */
static void give_allocators(void) {
    uv_replace_allocator(malloc_needed, realloc_needed, calloc_needed, free);
    json_set_alloc_funcs(malloc_needed, free);
}

static int init_loop(struct server *server) {
    give_allocators();
    int code = uv_loop_init(&server->loop);
    if (code == 0) code = uv_async_init(&server->loop, &server->mail, on_mail);
    if (code == 0) code = uv_async_init(&server->loop, &server->drain, on_drain);
    if (code == 0) code = uv_async_init(&server->loop, &server->offer, on_offer);
    if (code == 0) code = uv_timer_init(&server->loop, &server->second);
    if (code == 0) code = uv_timer_init(&server->loop, &server->answers_due);
    if (code != 0) return code;
    struct sockets *sockets = server->sockets;
    code = sockets->ops->watch_level(sockets, uv_backend_fd(&server->loop), &server->loop);
    return code != 0 ? code
                     : sockets->ops->watch_level(sockets, server->listen_fd, &server->listen_fd);
}

static int init_derivers(struct server *server) {
    const struct code_keys *keys = server->shared->keys;
    ASSERT(keys->count <= COUPON_KEYS_MAX);
    for (size_t i = 0; i < keys->count; i++) {
        server->derivers[i] = coupon_deriver_new(keys->keys[i].key);
        if (server->derivers[i] == NULL) return -ENOMEM;
    }
    return 0;
}

struct server *server_new(const struct server_options *options, struct err *err) {
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        err_set(err, -ENOMEM, "no memory for a network thread");
        return NULL;
    }
    server->shared = options->shared;
    server->routes = options->routes;
    server->index = options->index;
    server->view = options->view;
    server->sockets = options->sockets;
    server->bearer = options->bearer;
    server->listen_fd = options->listen_fd;
    server->is_listen_passed = options->is_listen_passed;
    server->engine_ms = view_latest_ms(options->view);
    for (size_t i = 0; i < WHEEL_SLOTS; i++) link_init(&server->wheel[i]);
    link_init(&server->touched);
    link_init(&server->turns);
    link_init(&server->closed);
    mailbox_init(&server->box, wake, server);
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    server->now_s = seconds_running(server);
    refresh_date(server);
    counts_reserve(&server->counts, view_events_count(server->view));
    counter_set(&server->counts.view_offset, view_offset(server->view));
    view_mark_publish(&server->view_mark, server->view);
    server->out.replies = route_replies(server, NULL);

    int code = waiting_pool_init(&server->waiting, server->shared->inflight_max);
    if (code == 0) code = init_derivers(server);
    if (code == 0) code = init_loop(server);
    if (code == 0 && options->routes == admin_routes) {
        server->out.fields = page_fields;
        server->console = console_new(server);
        if (server->console == NULL) code = -ENOMEM;
    }
    if (code == 0) return server;
    err_set(err, code, "cannot set up a network thread: %s", strerror(-code));
    return NULL; /* the process ends: what was taken goes with it */
}

/* How long nothing may come before the loop's own timers are due. 0: they are. */
static int wait_ms(struct server *server) {
    uv_update_time(&server->loop);
    return uv_backend_timeout(&server->loop);
}

/* One turn of the thread: libuv's loop, which is one of the sockets here, when it has mail or it is
 * time; then what was left of the last turn, and what the sockets tell. The mail first: whoever asks
 * may have been told by another thread of what is in it. */
static void take_turn(struct server *server) {
    struct sockets *sockets = server->sockets;
    struct socket_event events[EVENTS_MAX];
    int due_ms = wait_ms(server);
    int count =
        sockets->ops->wait(sockets, link_is_alone(&server->turns) ? due_ms : 0, events, EVENTS_MAX);
    ASSERT(count >= 0);
    server->turn_us = 0;
    const struct server_shared *shared = server->shared;
    if (shared->cluster != NULL)
        server->tail_age_ns = cluster_tail_age_ns(shared->cluster, shared->clock);
    bool is_loop_due = count == 0 || due_ms == 0;
    for (int i = 0; i < count; i++)
        if (events[i].owner == &server->loop) is_loop_due = true;
    if (is_loop_due) uv_run(&server->loop, UV_RUN_NOWAIT);
    connection_take_turns(server);
    for (int i = 0; i < count; i++) {
        if (events[i].owner == &server->listen_fd)
            connection_accept(server);
        else if (events[i].owner != &server->loop)
            connection_on_event(events[i].owner, events[i].what);
    }
    send_claims(server);
    connection_free_closed(server);
}

static void run(void *argument) {
    struct server *server = argument;
    char name[16];
    snprintf(name, sizeof name, server->console != NULL ? "admin" : "net-%u", server->index);
    (void)pthread_setname_np(pthread_self(), name);
    uv_run(&server->loop, UV_RUN_NOWAIT); /* it watches for mail from now on */
    while (!server->is_over) take_turn(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
}

int server_start(struct server *server, struct engine_thread *engine, struct err *err) {
    server->engine = engine;
    int code = uv_timer_start(&server->second, on_second, 1000, 1000);
    if (code == 0) code = uv_thread_create(&server->thread, run, server);
    if (code != 0)
        return err_set(err, code, "cannot start a network thread: %s", uv_strerror(code));
    return 0;
}

struct mailbox *server_mailbox(struct server *server) {
    return &server->box;
}
void server_drain(struct server *server) {
    uv_async_send(&server->drain);
}
void server_join(struct server *server) {
    uv_thread_join(&server->thread);
}

/* What came after the end. */
static void drop_mail(struct server *server) {
    struct parcel *parcel = mailbox_take(&server->box);
    while (parcel != NULL) {
        struct from_engine *message = CONTAINER_OF(parcel, struct from_engine, parcel);
        parcel = parcel->next;
        if (message->kind == FROM_ENGINE_RECORDS) record_block_release(message->block);
        free(message);
    }
}

void server_free(struct server *server) {
    close_handle((uv_handle_t *)&server->mail);
    close_handle((uv_handle_t *)&server->drain);
    close_handle((uv_handle_t *)&server->offer);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    ASSERT(uv_loop_close(&server->loop) == 0);
    server->sockets->ops->free(server->sockets);
    drop_mail(server);
    for (size_t i = 0; i < COUPON_KEYS_MAX; i++) coupon_deriver_free(server->derivers[i]);
    counts_deinit(&server->counts);
    waiting_pool_deinit(&server->waiting);
    console_free(server->console);
    mailbox_deinit(&server->box);
    view_free(server->view);
    bearer_unref(server->bearer);
    bearer_unref(server->offered);
    free(server->claims);
    if (server->spare_fd >= 0) close(server->spare_fd);
    free(server);
}

/* ---- coupon codes ---- */

static size_t key_index(const struct server *server, const struct event *event) {
    const struct code_keys *keys = server->shared->keys;
    size_t i = 0;
    while (i < keys->count && keys->keys[i].id != event->key_id) i++;
    return i;
}

bool server_has_key(const struct server *server, const struct event *event) {
    return key_index(server, event) < server->shared->keys->count;
}

size_t server_coupon_code(struct server *server, const struct event *event,
                          const struct coupon *coupon, char out[COUPON_CODE_BYTES_MAX]) {
    size_t i = key_index(server, event);
    if (i == server->shared->keys->count) return 0;
    return coupon_code(server->derivers[i], &event->code, event->id, coupon->serial, coupon->round,
                       out);
}
