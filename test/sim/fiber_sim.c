/* SPDX-License-Identifier: Apache-2.0
 *
 * ucontext makes a stack and enters it once; from then on setjmp and longjmp go to and fro, which
 * needs no system call. The checked longjmp does not know that there are other stacks.
 */
#undef _FORTIFY_SOURCE
#include "sim/fiber_sim.h"

#include <setjmp.h>
#include <stdlib.h>
#include <ucontext.h>

#include "lib/base.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

struct fiber_sim {
    ucontext_t context;
    jmp_buf bottom, place;
    char *stack;
    size_t stack_bytes;
    void (*run)(void *ctx);
    void *ctx;
    bool is_entered, is_at_bottom, is_done;
};

static struct fiber_sim *current;
static jmp_buf outside;

#if defined(__SANITIZE_ADDRESS__)
static const void *outside_stack;
static size_t outside_stack_bytes;

static void before_entering(const struct fiber_sim *fiber) {
    __sanitizer_start_switch_fiber(NULL, fiber->stack, fiber->stack_bytes);
}
static void after_entering(void) {
    __sanitizer_finish_switch_fiber(NULL, &outside_stack, &outside_stack_bytes);
}
static void before_leaving(void) {
    __sanitizer_start_switch_fiber(NULL, outside_stack, outside_stack_bytes);
}
static void after_leaving(void) {
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
}
#else
static void before_entering(const struct fiber_sim *fiber) {
    (void)fiber;
}
static void after_entering(void) {}
static void before_leaving(void) {}
static void after_leaving(void) {}
#endif

static _Noreturn void leave(void) {
    before_leaving();
    _longjmp(outside, 1);
}

/* The bottom of every stack: one function after the other is run from here. */
static void at_bottom(void) {
    (void)_setjmp(current->bottom);
    after_entering();
    current->is_at_bottom = false;
    current->run(current->ctx);
    current->is_done = true;
    leave();
}

struct fiber_sim *fiber_sim_new(size_t stack_bytes) {
    struct fiber_sim *fiber = calloc(1, sizeof *fiber);
    ASSERT(fiber != NULL);
    fiber->stack = malloc(stack_bytes);
    ASSERT(fiber->stack != NULL && getcontext(&fiber->context) == 0);
    fiber->stack_bytes = stack_bytes;
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = stack_bytes;
    makecontext(&fiber->context, at_bottom, 0);
    fiber->is_done = true;
    return fiber;
}

void fiber_sim_free(struct fiber_sim *fiber) {
    free(fiber->stack);
    free(fiber);
}

void fiber_sim_begin(struct fiber_sim *fiber, void (*run)(void *ctx), void *ctx) {
    fiber->run = run;
    fiber->ctx = ctx;
    fiber->is_at_bottom = true;
    fiber->is_done = false;
}

static _Noreturn void enter(struct fiber_sim *fiber) {
    bool is_first = !fiber->is_entered;
    fiber->is_entered = true;
    before_entering(fiber);
    if (is_first) setcontext(&fiber->context);
    if (fiber->is_at_bottom) _longjmp(fiber->bottom, 1);
    _longjmp(fiber->place, 1);
}

void fiber_sim_resume(struct fiber_sim *fiber) {
    ASSERT(current == NULL && !fiber->is_done);
    current = fiber;
    if (_setjmp(outside) == 0) enter(fiber);
    after_leaving();
    current = NULL;
}

void fiber_sim_yield(void) {
    if (_setjmp(current->place) == 0) leave();
    after_entering();
}

bool fiber_sim_is_done(const struct fiber_sim *fiber) {
    return fiber->is_done;
}

struct fiber_sim *fiber_sim_current(void) {
    return current;
}
