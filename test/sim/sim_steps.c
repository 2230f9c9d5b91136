/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens next in a simulated world: people ask, the operator writes, a thread runs on, time
 * passes, something goes wrong. How often each is drawn once from the seed.
 */
#include <stdarg.h>
#include <string.h>

#include "lib/rfc3339.h"
#include "sim/sim_world.h"

enum step {
    STEP_CLAIMS,
    STEP_QUERY,
    STEP_STATUS,
    STEP_PLAIN,
    STEP_CONTROL,
    STEP_ENGINE,
    STEP_COMMITTER,
    STEP_PREPARER,
    STEP_NETWORK,
    STEP_COPY,
    STEP_TIME,
    STEP_READ,
    STEP_TROUBLE,
    STEPS
};

/* ---- People ---- */

/* Mostly one that is there. */
static uint32_t any_event(struct sim_world *world) {
    uint32_t event = (uint32_t)sim_below(world, SIM_EVENTS_MAX);
    for (int i = 0; i < SIM_EVENTS_MAX && !world->model.events[event].opened; i++)
        if (!sim_chance(world, 8)) event = (event + 1) % SIM_EVENTS_MAX;
    return event;
}

static uint32_t any_user(struct sim_world *world) {
    return (uint32_t)sim_below(world, SIM_USERS_MAX);
}

static void step_claims(struct sim_world *world) {
    uint32_t event = any_event(world);
    for (uint64_t left = 1 + sim_below(world, 6); left > 0; left--)
        sim_client_claim(world, event, any_user(world));
}

/* ---- The operator ---- */

struct text {
    size_t n;
    char bytes[512];
};

static void add(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

static void add(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text->bytes + text->n, sizeof text->bytes - text->n, format, arguments);
    va_end(arguments);
    ASSERT(n >= 0 && (size_t)n < sizeof text->bytes - text->n);
    text->n += (size_t)n;
}

static void add_instant(struct text *text, const char *name, int64_t ms) {
    char instant[RFC3339_BYTES];
    rfc3339_format(ms, instant);
    add(text, ",\"%s\":\"%.*s\"", name, RFC3339_BYTES, instant);
}

static void add_period(struct sim_world *world, struct text *text) {
    int64_t wall_ms = threads_sim_wall_ms();
    bool has_start = sim_chance(world, 128), has_end = sim_chance(world, 128);
    int64_t starts_ms = wall_ms - 2000 + (int64_t)sim_below(world, 5000);
    int64_t ends_ms = wall_ms + 1 + (int64_t)sim_below(world, 20000);
    if (has_end && starts_ms >= ends_ms) has_start = false;
    if (has_start)
        add_instant(text, "starts_at", starts_ms);
    else
        add(text, ",\"starts_at\":null");
    if (has_end)
        add_instant(text, "ends_at", ends_ms);
    else
        add(text, ",\"ends_at\":null");
}

/* Mostly of somebody who holds a coupon as far as the log is known. */
static uint32_t any_holder(struct sim_world *world, uint32_t event) {
    uint32_t user = any_user(world);
    for (uint32_t i = 0; i < SIM_USERS_MAX; i++) {
        if (world->model.events[event].users[user].serial != 0) break;
        user = (user + 1) % SIM_USERS_MAX;
    }
    return user;
}

static enum record_type any_control(struct sim_world *world, uint32_t event) {
    static const enum record_type types[] = {
        RECORD_RESTOCK, RECORD_RESCHEDULE, RECORD_PAUSE,  RECORD_RESUME, RECORD_RESUME,
        RECORD_RETURN,  RECORD_RETURN,     RECORD_RETURN, RECORD_OPEN,   RECORD_CLOSE};
    enum record_type type = types[sim_below(world, ARRAY_LEN(types))];
    if (type == RECORD_CLOSE && !sim_chance(world, 64)) type = RECORD_RESTOCK;
    if (!world->model.events[event].opened && !sim_chance(world, 16)) type = RECORD_OPEN;
    return type;
}

static void step_control(struct sim_world *world) {
    uint32_t event = any_event(world), user = 0;
    if (sim_chance(world, 32)) event = (uint32_t)sim_below(world, SIM_EVENTS_MAX);
    enum record_type type = any_control(world, event);
    struct text text = {.n = 0};
    add(&text, "{\"operator\":\"sim\"");
    if (type == RECORD_OPEN)
        add(&text, ",\"event_id\":\"e%u\",\"total_stock\":%u", event,
            1 + (unsigned)sim_below(world, SIM_STOCK_MAX / 2));
    if (type == RECORD_RESTOCK)
        add(&text, ",\"total_stock\":%u", 1 + (unsigned)sim_below(world, SIM_STOCK_MAX));
    if (type == RECORD_RETURN) add(&text, ",\"user_id\":\"u%u\"", user = any_holder(world, event));
    if (type == RECORD_OPEN || type == RECORD_RESCHEDULE) add_period(world, &text);
    add(&text, "}");
    sim_client_control(world, type, event, user, text.bytes);
}

/* ---- The server's threads ---- */

static enum thread_role any_network(struct sim_world *world) {
    return (enum thread_role)(THREAD_NETWORK + sim_below(world, world->server.networks_count + 1u));
}

/* `role`, or another one that can go on, so that few steps are for nothing. */
static void step_thread(struct sim_world *world, enum thread_role role) {
    for (unsigned i = 0; i < THREADS_SIM_MAX; i++) {
        enum thread_role next = (enum thread_role)((role + i) % THREADS_SIM_MAX);
        if (!threads_sim_is_ready(next)) continue;
        sim_server_run(world, next);
        return;
    }
}

/* Mostly a few slices, as a thread that has the processor takes them. */
static void step_thread_often(struct sim_world *world, enum thread_role role) {
    step_thread(world, role);
    while (!sim_server_has_ended(world) && threads_sim_is_ready(role) && sim_chance(world, 170))
        sim_server_run(world, role);
}

static void step_time(struct sim_world *world) {
    threads_sim_pass(UINT64_C(1000) * sim_below(world, sim_chance(world, 64) ? 400000 : 20000));
}

/* ---- A life ---- */

static void take_step(struct sim_world *world, enum step step) {
    switch (step) {
    case STEP_CLAIMS:
        step_claims(world);
        break;
    case STEP_QUERY:
        sim_client_query(world, any_event(world), any_user(world));
        break;
    case STEP_STATUS:
        sim_client_status(world, any_event(world));
        break;
    case STEP_PLAIN:
        sim_client_plain(world);
        break;
    case STEP_CONTROL:
        step_control(world);
        break;
    case STEP_ENGINE:
        step_thread_often(world, THREAD_ENGINE);
        break;
    case STEP_COMMITTER:
        step_thread_often(world, THREAD_COMMITTER);
        break;
    case STEP_PREPARER:
        step_thread_often(world, THREAD_PREPARER);
        break;
    case STEP_NETWORK:
        step_thread_often(world, any_network(world));
        break;
    case STEP_COPY:
        step_thread_often(world, THREAD_COPY);
        break;
    case STEP_TIME:
        step_time(world);
        break;
    case STEP_READ:
        sim_client_read(world, false);
        break;
    case STEP_TROUBLE:
    case STEPS:
        sim_trouble_step(world);
        break;
    }
    if (sim_server_has_ended(world) && sim_is_good(world)) sim_start_after_end(world);
}

static void draw_weights(struct sim_world *world) {
    static const unsigned usual[STEPS] = {
        [STEP_CLAIMS] = 90,   [STEP_QUERY] = 25,   [STEP_STATUS] = 8,     [STEP_PLAIN] = 6,
        [STEP_CONTROL] = 30,  [STEP_ENGINE] = 120, [STEP_COMMITTER] = 90, [STEP_PREPARER] = 30,
        [STEP_NETWORK] = 180, [STEP_COPY] = 50,    [STEP_TIME] = 50,      [STEP_READ] = 10,
        [STEP_TROUBLE] = 22};
    static_assert(STEPS <= ARRAY_LEN(world->swarm.steps), "each has a weight");
    for (size_t i = 0; i < STEPS; i++)
        world->swarm.steps[i] = 1 + (unsigned)sim_below(world, 2 * usual[i]);
    sim_trouble_draw(world);
}

static enum step draw_step(struct sim_world *world) {
    unsigned total = 0;
    for (size_t i = 0; i < STEPS; i++) total += world->swarm.steps[i];
    unsigned at = (unsigned)sim_below(world, total);
    size_t step = 0;
    while (at >= world->swarm.steps[step]) at -= world->swarm.steps[step++];
    return (enum step)step;
}

/* All that can go on does, in turn; else time passes. */
static void run_all(struct sim_world *world) {
    bool has_run = false;
    for (unsigned role = 0; role < THREADS_SIM_MAX; role++) {
        if (!threads_sim_is_ready((enum thread_role)role) || sim_server_has_ended(world)) continue;
        sim_server_run(world, (enum thread_role)role);
        has_run = true;
    }
    if (!has_run) threads_sim_pass(UINT64_C(20000000));
}

/* With the trouble over, everybody is answered before long, and the copy has it all. */
static void settle(struct sim_world *world) {
    enum { TURNS_MAX = 6000 };
    for (int turns = 0; turns < TURNS_MAX && sim_is_good(world); turns++) {
        if (sim_server_is_quiet(world)) {
            sim_check_copy(world, true);
            world->counts->copy_caught_up++;
            return;
        }
        run_all(world);
        if (!sim_server_has_ended(world)) continue;
        if (!world->server.has_stopped && !world->server.was_struck &&
            !world->server.was_out_of_memory)
            sim_violation(world, "the log failed on a good disk");
        else if (sim_is_good(world))
            sim_end_and_start(world, false, false);
    }
    if (sim_is_good(world))
        sim_violation(world, sim_client_waits(world) ? "somebody is never answered"
                                                     : "the copy never catches up");
}

/* Everybody asks once more. */
static void settle_and_ask(struct sim_world *world) {
    for (uint32_t event = 0; event < SIM_EVENTS_MAX && sim_is_good(world); event++) {
        if (!world->model.events[event].opened) continue;
        for (uint32_t user = 0; user < SIM_USERS_MAX; user += 1 + (uint32_t)sim_below(world, 3)) {
            sim_client_query(world, event, user);
            if (sim_chance(world, 16)) settle(world);
        }
        settle(world);
    }
}

static void fill_journal(struct sim_world *world) {
    uint64_t fills = sim_chance(world, 32) ? 5 + sim_below(world, 3) : 0;
    world->swarm.rolls = fills > 0;
    for (; fills > 0 && sim_is_good(world); fills--)
        sim_server_fill(world, 60 + (uint32_t)sim_below(world, 200));
}

bool sim_world_run(struct sim_world *world, uint64_t steps) {
    draw_weights(world);
    fill_journal(world);
    sim_trouble_begin(world);
    for (; world->step < steps && sim_is_good(world); world->step++) {
        take_step(world, draw_step(world));
        world->counts->steps++;
    }
    if (sim_is_good(world)) sim_trouble_end(world);
    if (sim_is_good(world)) settle(world);
    if (sim_is_good(world)) sim_end_and_start(world, true, false);
    if (sim_is_good(world)) settle_and_ask(world);
    if (sim_is_good(world)) sim_end_and_start(world, true, false);
    if (sim_is_good(world)) settle(world);
    return sim_is_good(world);
}
