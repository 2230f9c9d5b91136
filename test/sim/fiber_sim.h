/* SPDX-License-Identifier: Apache-2.0
 *
 * Coroutines: functions with a stack each, of which one runs at a time, until it yields. What makes
 * threads of the code under test into something that a seed schedules. One OS thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct fiber_sim;

/* Never NULL. */
struct fiber_sim *fiber_sim_new(size_t stack_bytes);
void fiber_sim_free(struct fiber_sim *fiber);

/* From outside: the next resume begins `run(ctx)`. Where the fiber was before is forgotten: what it
 * owned is the caller's to clean up. */
void fiber_sim_begin(struct fiber_sim *fiber, void (*run)(void *ctx), void *ctx);

/* From outside: runs it until it yields or `run` returns. */
void fiber_sim_resume(struct fiber_sim *fiber);

/* In a fiber: back to whoever resumed it. Returns at the next resume. */
void fiber_sim_yield(void);

/* `run` has returned, or nothing was begun. */
bool fiber_sim_is_done(const struct fiber_sim *fiber);

/* NULL outside of all fibers. */
struct fiber_sim *fiber_sim_current(void);
