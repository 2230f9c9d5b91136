/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_plan.h"

#include <stdlib.h>

#include "verify/load_request.h"

/* SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t next_random(struct load_plan *plan) {
    uint64_t x = plan->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint32_t below(double share) {
    return (uint32_t)(share * (double)UINT32_MAX);
}

static bool roll(struct load_plan *plan, uint32_t limit) {
    return limit != 0 && (uint32_t)next_random(plan) <= limit;
}

void plan_init(struct load_plan *plan, const struct load_plan_setup *setup) {
    ASSERT(setup->users > 0);
    *plan = (struct load_plan){
        .setup = *setup,
        .random = setup->seed,
        .retry_below = below(setup->retries),
        .duplicate_below = below(setup->duplicates),
        .bad_below = below(setup->bad),
    };
}

void plan_deinit(struct load_plan *plan) {
    free(plan->later);
    plan->later = NULL;
}

static void make_job(struct load_job *job, uint32_t user, unsigned kind) {
    *job = (struct load_job){.user = user, .kind = (uint8_t)kind};
}

static bool take_duplicate(struct load_plan *plan, uint32_t connection, struct load_job *job) {
    if (plan->duplicates_count == 0) return false;
    bool must = plan->setup.is_single_connection || plan->next == plan->setup.claims ||
                plan->duplicates_count == PLAN_DUPLICATES_MAX;
    uint32_t first = plan->duplicates_first;
    if (plan->duplicates[first].connection == connection && !must) return false;
    make_job(job, plan->duplicates[first].user, REQUEST_CLAIM);
    plan->duplicates_first = (first + 1) % PLAN_DUPLICATES_MAX;
    plan->duplicates_count--;
    return true;
}

static void put_duplicate(struct load_plan *plan, uint32_t connection, uint32_t user) {
    uint32_t last = (plan->duplicates_first + plan->duplicates_count) % PLAN_DUPLICATES_MAX;
    plan->duplicates[last].user = user;
    plan->duplicates[last].connection = connection;
    plan->duplicates_count++;
}

/* The extras that were drawn with the last claim. */
static bool take_extra(struct load_plan *plan, struct load_job *job) {
    uint64_t asked = plan->next < plan->setup.users ? plan->next : plan->setup.users;
    if (plan->is_retry_next) {
        plan->is_retry_next = false;
        make_job(job, plan->setup.first_user + (uint32_t)(next_random(plan) % asked),
                 REQUEST_CLAIM);
        return true;
    }
    if (plan->is_bad_next) {
        plan->is_bad_next = false;
        uint64_t draw = next_random(plan);
        make_job(job, plan->setup.first_user + (uint32_t)((draw >> 8) % asked),
                 REQUEST_BAD + (unsigned)(draw % REQUEST_BAD_KINDS));
        return true;
    }
    return false;
}

bool plan_next(struct load_plan *plan, uint32_t connection, struct load_job *job) {
    if (take_duplicate(plan, connection, job) || take_extra(plan, job)) return true;
    if (plan->next == plan->setup.claims) return false;
    make_job(job, plan->setup.first_user + (uint32_t)(plan->next % plan->setup.users),
             REQUEST_CLAIM);
    plan->next++;
    plan->is_retry_next = roll(plan, plan->retry_below);
    plan->is_bad_next = roll(plan, plan->bad_below);
    if (roll(plan, plan->duplicate_below)) put_duplicate(plan, connection, job->user);
    return true;
}

void plan_stop(struct load_plan *plan) {
    plan->setup.claims = plan->next;
    plan->is_retry_next = plan->is_bad_next = false;
}

uint64_t plan_claims_left(const struct load_plan *plan) {
    return plan->setup.claims - plan->next;
}

static void swap_later(struct load_plan *plan, size_t a, size_t b) {
    struct load_job job = plan->later[a];
    plan->later[a] = plan->later[b];
    plan->later[b] = job;
}

bool plan_later(struct load_plan *plan, const struct load_job *job) {
    if (plan->later_count == plan->later_capacity) {
        size_t capacity = size_max(64, plan->later_capacity * 2);
        struct load_job *later = reallocarray(plan->later, capacity, sizeof *later);
        if (later == NULL) return false;
        plan->later = later;
        plan->later_capacity = capacity;
    }
    size_t at = plan->later_count++;
    plan->later[at] = *job;
    for (; at > 0 && plan->later[at].due_ns < plan->later[(at - 1) / 2].due_ns; at = (at - 1) / 2)
        swap_later(plan, at, (at - 1) / 2);
    return true;
}

bool plan_due(struct load_plan *plan, uint64_t now_ns, struct load_job *job) {
    if (plan->later_count == 0 || plan->later[0].due_ns > now_ns) return false;
    *job = plan->later[0];
    plan->later[0] = plan->later[--plan->later_count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < plan->later_count; child++)
            if (plan->later[child].due_ns < plan->later[least].due_ns) least = child;
        if (least == at) return true;
        swap_later(plan, at, least);
        at = least;
    }
}

uint64_t plan_due_ns(const struct load_plan *plan) {
    return plan->later_count == 0 ? UINT64_MAX : plan->later[0].due_ns;
}

bool plan_has_new(const struct load_plan *plan) {
    return plan->next < plan->setup.claims || plan->duplicates_count > 0 || plan->is_retry_next ||
           plan->is_bad_next;
}

bool plan_is_done(const struct load_plan *plan) {
    return plan->later_count == 0 && !plan_has_new(plan);
}

void plan_forget_later(struct load_plan *plan) {
    plan->later_count = 0;
}
