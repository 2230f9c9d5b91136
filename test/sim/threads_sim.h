/* SPDX-License-Identifier: Apache-2.0
 *
 * The threads of the simulated process, and its time. What the code under test asks of pthreads, of
 * nanosleep and of clock_gettime comes here (--wrap): a thread is a coroutine that runs until it
 * waits, calls a device (threads_sim_yield) or ends, and which of those that can go on does so next
 * is the simulator's choice. So every order in which the real queues may be filled, seen and
 * emptied can happen, and the same seed makes it happen again.
 *
 * Mutexes are never found locked: nobody yields with one held.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"

/* Threads are known by what they do. */
enum thread_role {
    THREAD_MAIN,
    THREAD_COMMITTER,
    THREAD_PREPARER,
    THREAD_ENGINE,
    THREAD_COPY,
    THREAD_NETWORK, /* and those that follow */
    THREADS_SIM_MAX = THREAD_NETWORK + 5
};

/* ---- The simulator's side ---- */

/* All threads are gone, the heap with them. */
void threads_sim_reset(void);
void threads_sim_free(void);

/* The roles of the threads that are made next, in this order. */
void threads_sim_expect(enum thread_role first, uint32_t count);

void threads_sim_start(enum thread_role role, void *(*run)(void *ctx), void *ctx);
bool threads_sim_is_ready(enum thread_role role);
bool threads_sim_is_alive(enum thread_role role);

/* Until it waits or yields. It must be ready. */
void threads_sim_resume(enum thread_role role);

/* Both clocks go on, and whoever waited for that is ready. */
void threads_sim_pass(uint64_t ns);
/* Only the one on the wall, by somebody's hand. */
void threads_sim_set_wall(int64_t by_ms);
/* Both, at the begin of a world. */
void threads_sim_set_time(int64_t wall_ms, uint64_t now_ns);
int64_t threads_sim_wall_ms(void);
uint64_t threads_sim_now_ns(void);
/* When the next thread that waits for time is ready; UINT64_MAX: none does. */
uint64_t threads_sim_next_ns(void);
extern const struct clock threads_sim_clock;

/* How the process ended: by _exit, whose status is kept; for want of memory that it needed
 * (lib/base.h); or by an assertion. */
enum process_end { PROCESS_RUNS, PROCESS_EXITED, PROCESS_OUT_OF_MEMORY, PROCESS_ASSERTED };
enum process_end threads_sim_end(void);
int threads_sim_exit_status(void);
const char *threads_sim_assertion(void);

/* ---- In a thread ---- */

enum thread_role threads_sim_current(void);

/* Others may go first. */
void threads_sim_yield(void);

/* Waits until somebody wakes `what` or the time has come; true when woken. */
bool threads_sim_wait(const void *what, uint64_t until_ns);
/* From anywhere: the one who has waited longest for `what`. */
void threads_sim_wake(const void *what);
