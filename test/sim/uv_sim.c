/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of libuv that src/api calls, with its contract (docs.libuv.org, 1.44), over
 * threads_sim: mail and timers. Linked into the simulator in front of the real one.
 */
#include <pthread.h>
#include <string.h>
#include <uv.h>

#include "lib/base.h"
#include "sim/net_sim.h"
#include "sim/threads_sim.h"

enum { NS_IN_MS = 1000000, HANDLES_MAX = 8, FD_LOOPS = 5000 };

/* What is known of a handle: where its data points to. */
struct known {
    bool is_used, is_active, is_closing, is_unref;
    uv_handle_t *handle;
    uv_close_cb on_close;
    uint64_t due_ns, repeat_ms; /* a timer */
    uv_timer_cb on_timer;
    uv_async_cb on_async;
    bool is_sent; /* an async */
};

struct loop {
    uint32_t count;
    struct known handles[HANDLES_MAX];
};

/* One for each network thread; the process has no other. */
static struct loop loops[NET_SIM_LISTENERS];
static uint32_t loops_count;

void uv_sim_reset(void) {
    loops_count = 0;
}

bool uv_sim_has_mail(int fd) {
    const struct loop *loop = &loops[fd - FD_LOOPS];
    for (uint32_t i = 0; i < loop->count; i++)
        if (loop->handles[i].is_used && loop->handles[i].is_sent) return true;
    return false;
}

static struct known *known_of(const void *handle) {
    return ((const uv_handle_t *)handle)->data;
}

static struct known *know(uv_loop_t *uv_loop, void *handle) {
    struct loop *loop = uv_loop->data;
    ASSERT(loop->count < HANDLES_MAX);
    struct known *known = &loop->handles[loop->count++];
    *known = (struct known){.is_used = true, .handle = handle};
    ((uv_handle_t *)handle)->loop = uv_loop;
    ((uv_handle_t *)handle)->data = known;
    return known;
}

static uint32_t index_of(const uv_loop_t *uv_loop) {
    return (uint32_t)((const struct loop *)uv_loop->data - loops);
}

/* ---- Handles ---- */

int uv_loop_init(uv_loop_t *uv_loop) {
    ASSERT(loops_count < NET_SIM_LISTENERS);
    loops[loops_count].count = 0;
    uv_loop->data = &loops[loops_count++];
    return 0;
}

int uv_loop_close(uv_loop_t *uv_loop) {
    (void)uv_loop;
    return 0;
}

int uv_backend_fd(const uv_loop_t *uv_loop) {
    return FD_LOOPS + (int)index_of(uv_loop);
}

int uv_async_init(uv_loop_t *loop, uv_async_t *async, uv_async_cb on_async) {
    struct known *known = know(loop, async);
    known->on_async = on_async;
    known->is_active = true;
    return 0;
}

int uv_async_send(uv_async_t *async) {
    known_of(async)->is_sent = true;
    threads_sim_wake(net_sim_bell(index_of(async->loop)));
    return 0;
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *timer) {
    (void)know(loop, timer);
    return 0;
}

int uv_timer_start(uv_timer_t *timer, uv_timer_cb on_timer, uint64_t timeout_ms,
                   uint64_t repeat_ms) {
    struct known *known = known_of(timer);
    if (known->is_closing) return UV_EINVAL;
    known->on_timer = on_timer;
    known->due_ns = threads_sim_now_ns() + timeout_ms * NS_IN_MS;
    known->repeat_ms = repeat_ms;
    known->is_active = true;
    return 0;
}

int uv_timer_stop(uv_timer_t *timer) {
    known_of(timer)->is_active = false;
    return 0;
}

int uv_is_active(const uv_handle_t *handle) {
    return known_of(handle)->is_active;
}

int uv_is_closing(const uv_handle_t *handle) {
    return known_of(handle)->is_closing;
}

void uv_unref(uv_handle_t *handle) {
    known_of(handle)->is_unref = true;
}

void uv_close(uv_handle_t *handle, uv_close_cb on_close) {
    struct known *known = known_of(handle);
    ASSERT(!known->is_closing);
    known->is_closing = true;
    known->is_active = known->is_sent = false;
    known->on_close = on_close;
}

/* ---- The loop ---- */

void uv_update_time(uv_loop_t *loop) {
    (void)loop; /* there is no time of its own */
}

int uv_backend_timeout(const uv_loop_t *uv_loop) {
    const struct loop *loop = uv_loop->data;
    uint64_t due_ns = UINT64_MAX, now_ns = threads_sim_now_ns();
    for (uint32_t i = 0; i < loop->count; i++) {
        const struct known *known = &loop->handles[i];
        if (known->is_used && known->is_closing) return 0;
        if (known->is_used && known->is_active && known->on_timer != NULL && known->due_ns < due_ns)
            due_ns = known->due_ns;
    }
    if (due_ns == UINT64_MAX) return -1;
    return due_ns <= now_ns ? 0 : (int)((due_ns - now_ns + NS_IN_MS - 1) / NS_IN_MS);
}

/* The one that is due first; NULL when none is. */
static struct known *due_timer(struct loop *loop) {
    struct known *first = NULL;
    for (uint32_t i = 0; i < loop->count; i++) {
        struct known *known = &loop->handles[i];
        bool is_due = known->is_used && known->is_active && known->on_timer != NULL &&
                      known->due_ns <= threads_sim_now_ns();
        if (is_due && (first == NULL || known->due_ns < first->due_ns)) first = known;
    }
    return first;
}

static void run_timers(struct loop *loop) {
    for (struct known *timer; (timer = due_timer(loop)) != NULL;) {
        timer->due_ns =
            threads_sim_now_ns() + (timer->repeat_ms == 0 ? 1 : timer->repeat_ms) * NS_IN_MS;
        timer->is_active = timer->repeat_ms != 0;
        timer->on_timer((uv_timer_t *)timer->handle);
    }
}

static void run_mail(struct loop *loop) {
    for (uint32_t i = 0; i < loop->count; i++) {
        struct known *known = &loop->handles[i];
        if (!known->is_used || !known->is_sent) continue;
        known->is_sent = false;
        known->on_async((uv_async_t *)known->handle);
    }
}

static void run_closing(struct loop *loop) {
    for (uint32_t i = 0; i < loop->count; i++) {
        struct known *known = &loop->handles[i];
        if (!known->is_used || !known->is_closing) continue;
        known->is_used = false;
        if (known->on_close != NULL) known->on_close(known->handle);
    }
}

static bool is_alive(const struct loop *loop) {
    for (uint32_t i = 0; i < loop->count; i++) {
        const struct known *known = &loop->handles[i];
        if (known->is_used && (known->is_closing || (known->is_active && !known->is_unref)))
            return true;
    }
    return false;
}

/* UV_RUN_DEFAULT is called only for what closes, which takes one turn. */
int uv_run(uv_loop_t *uv_loop, uv_run_mode mode) {
    struct loop *loop = uv_loop->data;
    do {
        run_timers(loop);
        run_mail(loop);
        run_closing(loop);
    } while (mode == UV_RUN_DEFAULT && is_alive(loop));
    return is_alive(loop);
}

/* ---- Threads ---- */

struct start {
    uv_thread_cb run;
    void *ctx;
};

static struct start starts[NET_SIM_LISTENERS];
static uint32_t starts_count;

static void *run_start(void *ctx) {
    struct start *start = ctx;
    start->run(start->ctx);
    return NULL;
}

int uv_thread_create(uv_thread_t *thread, uv_thread_cb run, void *ctx) {
    struct start *start = &starts[starts_count++ % NET_SIM_LISTENERS];
    *start = (struct start){run, ctx};
    return pthread_create(thread, NULL, run_start, start);
}

int uv_thread_join(uv_thread_t *thread) {
    return pthread_join(*thread, NULL);
}

const char *uv_strerror(int code) {
    return strerror(-code);
}
