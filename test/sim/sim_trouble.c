/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong. Which kinds of trouble a world has, and how much of each, is drawn once from its
 * seed, so that some worlds are quiet but for one kind, and others have all of it.
 */
#include <errno.h>
#include <string.h>

#include "sim/heap_sim.h"
#include "sim/sim_world.h"

enum trouble {
    TROUBLE_CLOCK,
    TROUBLE_KILL,
    TROUBLE_POWER,
    TROUBLE_POWER_IN_CALL,
    TROUBLE_DISK,
    TROUBLE_CAPACITY,
    TROUBLE_MEMORY,
    TROUBLE_STORE,
    TROUBLE_STORE_WIPED,
    TROUBLE_ROT,
    TROUBLE_STOP,
    TROUBLE_CLIENT_LEAVES,
    TROUBLE_CLIENT_SLOW,
    TROUBLE_CLIENT_SHUTS,
    TROUBLES
};

void sim_trouble_draw(struct sim_world *world) {
    static const unsigned usual[TROUBLES] = {
        [TROUBLE_CLOCK] = 10,        [TROUBLE_KILL] = 4,        [TROUBLE_POWER] = 4,
        [TROUBLE_POWER_IN_CALL] = 5, [TROUBLE_DISK] = 8,        [TROUBLE_CAPACITY] = 4,
        [TROUBLE_MEMORY] = 5,        [TROUBLE_STORE] = 10,      [TROUBLE_STORE_WIPED] = 2,
        [TROUBLE_ROT] = 2,           [TROUBLE_STOP] = 3,        [TROUBLE_CLIENT_LEAVES] = 10,
        [TROUBLE_CLIENT_SLOW] = 8,   [TROUBLE_CLIENT_SHUTS] = 4};
    static_assert(TROUBLES <= ARRAY_LEN(world->swarm.troubles), "each has a weight");
    for (size_t i = 0; i < TROUBLES; i++)
        world->swarm.troubles[i] =
            sim_chance(world, 110) ? 1 + (unsigned)sim_below(world, 2 * usual[i]) : 0;
    world->swarm.limits = sim_chance(world, 64);
    if (sim_chance(world, 90))
        world->swarm.disk_slow_ns = UINT64_C(1) << (20 + sim_below(world, 13));
}

/* ---- The disk ---- */

static void arm_disk_fault(struct sim_world *world) {
    static const struct {
        enum disk_sim_call call;
        int code;
    } faults[] = {
        {DISK_SIM_PWRITE, -EIO},
        {DISK_SIM_PWRITE, DISK_SIM_SHORT},
        {DISK_SIM_PWRITE, -ENOSPC},
        {DISK_SIM_FDATASYNC, -EIO},
        {DISK_SIM_FDATASYNC, -EIO},
        {DISK_SIM_PREAD, -EIO},
        {DISK_SIM_FALLOCATE, -ENOSPC},
        {DISK_SIM_RENAME, -EIO},
        {DISK_SIM_SYNC_DIRECTORY, -EIO},
        {DISK_SIM_OPEN, -EIO},
        {DISK_SIM_ANY, -EIO},
        {DISK_SIM_CLOSE, -EIO},
        {DISK_SIM_SIZE, -EIO},
    };
    size_t which = (size_t)sim_below(world, ARRAY_LEN(faults));
    uint64_t nth = 1 + sim_below(world, 4);
    if (world->swarm.rolls && sim_chance(world, 128)) { /* what only a new segment needs */
        which = 7 + (size_t)sim_below(world, 2);
        nth = 1;
    }
    if (world->server.is_preparing && sim_chance(world, 100)) { /* writes of both threads at once */
        which = (size_t)sim_below(world, 3);
        nth = 1 + sim_below(world, 2);
    }
    disk_sim_fail(world->disk, faults[which].call, nth, faults[which].code);
    sim_trace(world, "fault armed: call %d code %d", (int)faults[which].call, faults[which].code);
}

static void arm_power_cut(struct sim_world *world) {
    disk_sim_cut_power_at(world->disk, 1 + sim_below(world, 12));
    sim_trace(world, "power will be cut within a call");
}

static void arm_memory(struct sim_world *world) {
    heap_sim_fail(1 + sim_below(world, 60));
    sim_trace(world, "memory will be short");
}

static void set_full(struct sim_world *world, bool is_full) {
    world->is_full = is_full;
    disk_sim_set_capacity(world->disk, is_full ? 1 : 0);
    sim_trace(world, "disk %s", is_full ? "full" : "has space");
}

/* ---- Ends ---- */

static void count_losses(struct sim_world *world, unsigned phases) {
    struct disk_sim_losses losses = disk_sim_losses(world->disk);
    if (losses.lost > 0) sim_struck_in(world, FAULT_LOST_WRITE, phases);
    if (losses.torn > 0) sim_struck_in(world, FAULT_TORN_WRITE, phases);
}

/* The process is gone, by kill -9 or with the machine. */
static void end_server(struct sim_world *world, bool cuts_power) {
    if (!world->server.runs) return;
    bool is_dark = !disk_sim_has_power(world->disk);
    unsigned phases = sim_server_phases(world);
    if (!sim_server_has_ended(world))
        sim_struck_in(world, cuts_power || is_dark ? FAULT_POWER_CUT : FAULT_KILL, phases);
    cuts_power |= is_dark;
    sim_trace(world, cuts_power ? "power cut" : "the process is gone");
    sim_server_end(world);
    if (cuts_power) {
        disk_sim_crash(world->disk);
        count_losses(world, phases);
    } else {
        disk_sim_resume(world->disk);
    }
}

/* ---- Starts ---- */

static void trouble_the_start(struct sim_world *world) {
    uint64_t draw = sim_below(world, 4);
    if (draw == 0)
        arm_power_cut(world);
    else if (draw == 1)
        heap_sim_fail(1 + sim_below(world, 200));
    else
        arm_disk_fault(world);
}

/* Starts again until it works; trouble may go on for the first tries. A full disk is no trouble for
 * a journal that exists. */
static void start_again(struct sim_world *world, bool may_fail) {
    for (int tries = 0; sim_is_good(world); tries++) {
        bool is_troubled = may_fail && tries < 3 && sim_chance(world, 50);
        bool is_first = world->model.offset == 0;
        if (is_troubled) trouble_the_start(world);
        if (sim_server_start(world)) break;
        if (!is_troubled && !(is_first && world->is_full))
            sim_violation(world, "does not start: %s", world->server.start_error);
        if (is_first) set_full(world, false);
        end_server(world, sim_chance(world, 128));
    }
}

void sim_trouble_begin(struct sim_world *world) {
    if (world->swarm.troubles[TROUBLE_CAPACITY] > 0 && sim_chance(world, 64)) set_full(world, true);
    start_again(world, world->swarm.troubles[TROUBLE_DISK] > 0);
}

void sim_end_and_start(struct sim_world *world, bool cuts_power, bool may_fail) {
    end_server(world, cuts_power);
    start_again(world, may_fail);
}

void sim_start_after_end(struct sim_world *world) {
    world->counts->stops += world->server.has_stopped;
    sim_end_and_start(world, sim_chance(world, 128), true);
}

/* ---- Rot ---- */

static void count_path(const struct disk_sim *disk, size_t *count) {
    for (*count = 0; disk_sim_path(disk, *count) != NULL;) ++*count;
}

/* Turns a bit of a file while nobody runs. A start that notices refuses; then the bit is turned
 * back, as if from a backup, and everything has to be there. One that does not notice has lost
 * nothing. */
static void rot(struct sim_world *world) {
    /* The mark behind the last commit is what tells rot from a torn write; a power cut may have
     * taken it, and then nothing can. */
    bool is_marked = world->server.commits > 0 && disk_sim_has_power(world->disk);
    end_server(world, false);
    size_t files;
    count_path(world->disk, &files);
    if (files == 0 || !is_marked) {
        start_again(world, false);
        return;
    }
    char path[256];
    snprintf(path, sizeof path, "%s", disk_sim_path(world->disk, (size_t)sim_below(world, files)));
    struct slice bytes = disk_sim_peek(world->disk, path);
    uint64_t reach = bytes.n;
    if (reach > 1024 && sim_chance(world, 200)) reach = UINT64_C(1024) << sim_below(world, 4);
    uint64_t offset = reach == 0 ? 0 : sim_below(world, size_min(reach, bytes.n));
    unsigned char mask = (unsigned char)(1u << sim_below(world, 8));
    if (bytes.n == 0) {
        start_again(world, false);
        return;
    }
    sim_trace(world, "rot: bit %u of byte %llu of %s", mask, (unsigned long long)offset, path);
    disk_sim_flip(world->disk, path, offset, mask);
    sim_struck_in(world, FAULT_BIT_ROT, 1u << PHASE_START);
    uint64_t doubt = world->doubt_count, written = world->written_count;
    if (sim_server_start(world)) {
        world->counts->rot_harmless++;
        return;
    }
    world->counts->rot_refused++;
    end_server(world, false);
    world->doubt_count = doubt;
    world->written_count = written;
    disk_sim_flip(world->disk, path, offset, mask);
    start_again(world, false);
}

/* ---- The rest ---- */

static void set_clock(struct sim_world *world) {
    int64_t by_ms = (int64_t)sim_below(world, 10 * 1000);
    if (sim_chance(world, 64)) by_ms *= 360;
    bool is_forward = sim_chance(world, 100);
    sim_struck(world, is_forward ? FAULT_CLOCK_FORWARD : FAULT_CLOCK_BACK);
    threads_sim_set_wall(is_forward ? by_ms : -by_ms);
    sim_trace(world, "clock set by %lld ms", (long long)(is_forward ? by_ms : -by_ms));
}

static void set_mood(struct sim_world *world) {
    static const enum store_sim_mood moods[] = {STORE_SIM_BUSY, STORE_SIM_BUSY, STORE_SIM_UNKNOWN,
                                                STORE_SIM_UNKNOWN, STORE_SIM_DAMAGED};
    world->store.mood = moods[sim_below(world, ARRAY_LEN(moods))];
    world->store.mood_calls = 1 + (uint32_t)sim_below(world, 4);
    sim_trace(world, "the store is in mood %d", (int)world->store.mood);
}

/* The file of the copy is deleted while nobody runs. */
static void wipe_store(struct sim_world *world) {
    sim_struck(world, FAULT_STORE_WIPED);
    end_server(world, false);
    store_sim_wipe(&world->store);
    start_again(world, true);
}

static void ask_to_stop(struct sim_world *world) {
    if (world->server.wants_stop) return;
    sim_struck(world, FAULT_STOP);
    sim_trace(world, "asked to stop");
    world->server.wants_stop = true;
    threads_sim_wake(&world->server.wants_stop);
}

static uint32_t any_connection(struct sim_world *world) {
    return (uint32_t)sim_below(world, SIM_CONNECTIONS);
}

static void make_trouble(struct sim_world *world, enum trouble trouble) {
    switch (trouble) {
    case TROUBLE_CLOCK:
        set_clock(world);
        return;
    case TROUBLE_KILL:
    case TROUBLE_POWER:
        sim_end_and_start(world, trouble == TROUBLE_POWER, true);
        return;
    case TROUBLE_POWER_IN_CALL:
        arm_power_cut(world);
        return;
    case TROUBLE_DISK:
        arm_disk_fault(world);
        return;
    case TROUBLE_CAPACITY:
        set_full(world, sim_chance(world, 160));
        return;
    case TROUBLE_MEMORY:
        arm_memory(world);
        return;
    case TROUBLE_STORE:
        set_mood(world);
        return;
    case TROUBLE_STORE_WIPED:
        wipe_store(world);
        return;
    case TROUBLE_ROT:
        rot(world);
        return;
    case TROUBLE_STOP:
        ask_to_stop(world);
        return;
    case TROUBLE_CLIENT_LEAVES:
        sim_client_leave(world, any_connection(world));
        return;
    case TROUBLE_CLIENT_SLOW:
        sim_client_slow(world, any_connection(world));
        return;
    case TROUBLE_CLIENT_SHUTS:
        sim_client_shut(world, any_connection(world));
        return;
    case TROUBLES:
        return;
    }
}

void sim_trouble_step(struct sim_world *world) {
    unsigned total = 0;
    for (size_t i = 0; i < TROUBLES; i++) total += world->swarm.troubles[i];
    if (total == 0) return;
    unsigned at = (unsigned)sim_below(world, total);
    size_t trouble = 0;
    while (at >= world->swarm.troubles[trouble]) at -= world->swarm.troubles[trouble++];
    make_trouble(world, (enum trouble)trouble);
}

/* Without memory for a view the copy gives up until the next start. */
static bool has_copy_given_up(const struct sim_world *world) {
    struct recorder_health health;
    if (!world->server.was_out_of_memory || world->server.copy == NULL) return false;
    copy_thread_health(world->server.copy, &health);
    return health.state == RECORDER_IS_STOPPED;
}

/* The server lives on, if it can, so that whoever waits now is answered. */
void sim_trouble_end(struct sim_world *world) {
    for (int call = 0; call < DISK_SIM_CALLS; call++)
        disk_sim_fail(world->disk, (enum disk_sim_call)call, 0, 0);
    heap_sim_fail(0);
    set_full(world, false);
    world->swarm.disk_slow_ns = 0;
    world->swarm.limits = false; /* of the servers that come */
    world->store.mood_calls = 0;
    sim_client_read(world, true);
    bool has_failed =
        world->server.has_failed || !disk_sim_has_power(world->disk) || has_copy_given_up(world);
    if (has_failed)
        sim_end_and_start(world, true, false);
    else
        disk_sim_cut_power_at(world->disk, 0);
}
