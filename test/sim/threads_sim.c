/* SPDX-License-Identifier: Apache-2.0
 *
 * A table of coroutines, and the calls of libc that the code under test makes to have threads.
 */
#include "sim/threads_sim.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base.h"
#include "sim/fiber_sim.h"
#include "sim/heap_sim.h"

enum { STACK_BYTES = 256 * 1024, NS_IN_MS = 1000000 };

enum thread_state { THREAD_NONE, THREAD_READY, THREAD_WAITS, THREAD_ENDED };

struct thread {
    struct fiber_sim *fiber;
    enum thread_state state;
    const void *what;
    uint64_t until_ns, since; /* since: in the order of waiting */
    bool was_woken;
    unsigned heap_depth;
    void *(*run)(void *ctx);
    void *ctx;
};

/* libc's calls have no context: there is one process at a time. */
static struct {
    struct thread threads[THREADS_SIM_MAX];
    enum thread_role current;
    enum thread_role expected[THREADS_SIM_MAX];
    uint32_t expected_count;
    uint64_t now_ns, waits;
    int64_t wall_ms;
    enum process_end end;
    int status;
    char assertion[256];
} process;

/* ---- The simulator's side ---- */

void threads_sim_reset(void) {
    for (size_t i = 0; i < THREADS_SIM_MAX; i++) process.threads[i].state = THREAD_NONE;
    process.expected_count = 0;
    process.end = PROCESS_RUNS;
    process.waits = 0;
    heap_sim_reset();
}

void threads_sim_free(void) {
    for (size_t i = 0; i < THREADS_SIM_MAX; i++) {
        if (process.threads[i].fiber != NULL) fiber_sim_free(process.threads[i].fiber);
        process.threads[i].fiber = NULL;
    }
}

void threads_sim_expect(enum thread_role first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(process.expected_count < THREADS_SIM_MAX);
        process.expected[process.expected_count++] = (enum thread_role)((uint32_t)first + i);
    }
}

static void run_thread(void *ctx) {
    struct thread *thread = ctx;
    (void)thread->run(thread->ctx);
    thread->state = THREAD_ENDED;
    threads_sim_wake(thread);
}

void threads_sim_start(enum thread_role role, void *(*run)(void *ctx), void *ctx) {
    struct thread *thread = &process.threads[role];
    unsigned depth = heap_sim_depth();
    heap_sim_set_depth(0);
    if (thread->fiber == NULL) thread->fiber = fiber_sim_new(STACK_BYTES);
    heap_sim_set_depth(depth);
    ASSERT(thread->state == THREAD_NONE);
    thread->state = THREAD_READY;
    thread->heap_depth = 1;
    thread->run = run;
    thread->ctx = ctx;
    fiber_sim_begin(thread->fiber, run_thread, thread);
}

bool threads_sim_is_ready(enum thread_role role) {
    return process.threads[role].state == THREAD_READY;
}

bool threads_sim_is_alive(enum thread_role role) {
    return threads_sim_is_ready(role) || process.threads[role].state == THREAD_WAITS;
}

void threads_sim_resume(enum thread_role role) {
    struct thread *thread = &process.threads[role];
    ASSERT(thread->state == THREAD_READY && process.end == PROCESS_RUNS);
    process.current = role;
    heap_sim_set_depth(thread->heap_depth);
    fiber_sim_resume(thread->fiber);
    thread->heap_depth = heap_sim_depth();
    heap_sim_set_depth(0);
}

static void wake_by_time(void) {
    for (size_t i = 0; i < THREADS_SIM_MAX; i++) {
        struct thread *thread = &process.threads[i];
        if (thread->state == THREAD_WAITS && thread->until_ns <= process.now_ns)
            thread->state = THREAD_READY;
    }
}

void threads_sim_pass(uint64_t ns) {
    process.now_ns += ns;
    process.wall_ms += (int64_t)(process.now_ns / NS_IN_MS - (process.now_ns - ns) / NS_IN_MS);
    wake_by_time();
}

void threads_sim_set_wall(int64_t by_ms) {
    process.wall_ms += by_ms;
}

void threads_sim_set_time(int64_t wall_ms, uint64_t now_ns) {
    process.wall_ms = wall_ms;
    process.now_ns = now_ns;
}

int64_t threads_sim_wall_ms(void) {
    return process.wall_ms;
}

uint64_t threads_sim_now_ns(void) {
    return process.now_ns;
}

uint64_t threads_sim_next_ns(void) {
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < THREADS_SIM_MAX; i++) {
        const struct thread *thread = &process.threads[i];
        if (thread->state == THREAD_WAITS && thread->until_ns < next_ns) next_ns = thread->until_ns;
    }
    return next_ns;
}

enum process_end threads_sim_end(void) {
    return process.end;
}
int threads_sim_exit_status(void) {
    return process.status;
}
const char *threads_sim_assertion(void) {
    return process.assertion;
}

static int64_t clock_wall(const struct clock *clock) {
    (void)clock;
    return process.wall_ms;
}
static uint64_t clock_now(const struct clock *clock) {
    (void)clock;
    return process.now_ns;
}
const struct clock threads_sim_clock = {.wall_ms = clock_wall, .monotonic_ns = clock_now};

/* ---- In a thread ---- */

enum thread_role threads_sim_current(void) {
    return process.current;
}

void threads_sim_yield(void) {
    fiber_sim_yield();
}

bool threads_sim_wait(const void *what, uint64_t until_ns) {
    struct thread *thread = &process.threads[process.current];
    thread->what = what;
    thread->until_ns = until_ns;
    thread->since = ++process.waits;
    thread->was_woken = false;
    thread->state = until_ns <= process.now_ns ? THREAD_READY : THREAD_WAITS;
    fiber_sim_yield();
    return thread->was_woken;
}

void threads_sim_wake(const void *what) {
    struct thread *first = NULL;
    for (size_t i = 0; i < THREADS_SIM_MAX; i++) {
        struct thread *thread = &process.threads[i];
        if (thread->state != THREAD_WAITS || thread->what != what) continue;
        if (first == NULL || thread->since < first->since) first = thread;
    }
    if (first == NULL) return;
    first->was_woken = true;
    first->state = THREAD_READY;
}

/* ---- What libc is asked for ---- */

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *ctx),
                          void *ctx);
int __wrap_pthread_join(pthread_t id, void **result);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_clock_gettime(clockid_t id, struct timespec *time);
int __real_clock_gettime(clockid_t id, struct timespec *time);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap_assert_failed(const char *condition, const char *file, int line);
_Noreturn void __real_assert_failed(const char *condition, const char *file, int line);
_Noreturn void __real__exit(int status);
void *__wrap_memory_needed(void *memory);
void *__real_memory_needed(void *memory);

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *ctx),
                          void *ctx) {
    (void)attributes;
    ASSERT(process.expected_count > 0);
    enum thread_role role = process.expected[0];
    process.expected_count--;
    memmove(process.expected, process.expected + 1,
            process.expected_count * sizeof process.expected[0]);
    *id = (pthread_t)role;
    threads_sim_start(role, run, ctx);
    return 0;
}

int __wrap_pthread_join(pthread_t id, void **result) {
    (void)result;
    struct thread *thread = &process.threads[(size_t)id];
    while (thread->state != THREAD_ENDED) (void)threads_sim_wait(thread, UINT64_MAX);
    thread->state = THREAD_NONE;
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    (void)mutex;
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
    (void)mutex;
    return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
    (void)mutex;
    (void)threads_sim_wait(condition, UINT64_MAX);
    return 0;
}

static uint64_t ns_of(const struct timespec *time) {
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until) {
    (void)mutex;
    if (ns_of(until) <= process.now_ns) return ETIMEDOUT;
    return threads_sim_wait(condition, ns_of(until)) ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition) {
    threads_sim_wake(condition);
    return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left) {
    if (fiber_sim_current() == NULL) return __real_nanosleep(time, left);
    (void)threads_sim_wait(time, process.now_ns + ns_of(time));
    return 0;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *time) {
    if (fiber_sim_current() == NULL) return __real_clock_gettime(id, time);
    uint64_t ns = id == CLOCK_REALTIME ? (uint64_t)process.wall_ms * NS_IN_MS : process.now_ns;
    *time = (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                              .tv_nsec = (long)(ns % 1000000000u)};
    return 0;
}

/* The process stops where it is. */
static _Noreturn void end_process(enum process_end end) {
    process.end = end;
    for (;;) fiber_sim_yield();
}

_Noreturn void __wrap__exit(int status) {
    if (fiber_sim_current() == NULL) __real__exit(status);
    process.status = status;
    end_process(PROCESS_EXITED);
}

/* Its word is for people who run a server. */
void *__wrap_memory_needed(void *memory) {
    if (memory == NULL && fiber_sim_current() != NULL) end_process(PROCESS_OUT_OF_MEMORY);
    return __real_memory_needed(memory);
}

/* A guarantee of the code under test; one of the simulator's own ends the simulator. */
_Noreturn void __wrap_assert_failed(const char *condition, const char *file, int line) {
    if (fiber_sim_current() == NULL || heap_sim_depth() == 0)
        __real_assert_failed(condition, file, line);
    const char *name = strrchr(file, '/');
    snprintf(process.assertion, sizeof process.assertion, "%s:%d: %s",
             name == NULL ? file : name + 1, line, condition);
    end_process(PROCESS_ASSERTED);
}
