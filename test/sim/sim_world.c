/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a world, its randomness and its trace.
 */
#include "sim/sim_world.h"

#include <stdarg.h>
#include <string.h>

#include "lib/hash.h"

enum { WALL_MS_AT_FIRST = 1000 * 1000 * 1000, NOW_NS_AT_FIRST = 1000 * 1000 * 1000 };

void sim_world_init(struct sim_world *world, uint64_t seed, struct sim_counts *counts,
                    bool is_verbose) {
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->counts = counts;
    world->is_verbose = is_verbose;
    threads_sim_set_time(WALL_MS_AT_FIRST, NOW_NS_AT_FIRST);
    random_sim_init(&world->random, seed);
    world->disk = disk_sim_new(random_sim_next(&world->random), 0);
    sim_disk_watch(world);
    sim_server_init(world);
    sim_client_begin(world);
    model_init(&world->model);
}

void sim_world_deinit(struct sim_world *world) {
    sim_server_end(world);
    disk_sim_free(world->disk);
    model_deinit(&world->model);
}

uint64_t sim_below(struct sim_world *world, uint64_t limit) {
    return random_sim_below(&world->random, limit);
}

bool sim_chance(struct sim_world *world, unsigned of_256) {
    return random_sim_chance(&world->random, of_256);
}

void sim_violation(struct sim_world *world, const char *format, ...) {
    if (!sim_is_good(world)) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->violation, sizeof world->violation, format, arguments);
    va_end(arguments);
}

void sim_note(struct sim_world *world, uint64_t word) {
    world->hash = hash_mix(world->hash, word);
}

void sim_trace(struct sim_world *world, const char *format, ...) {
    static const struct hash_key unkeyed = {{0, 0}};
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    sim_note(world, hash_slice(&unkeyed, slice_str(line)));
    if (world->is_verbose) printf("%6llu  %s\n", (unsigned long long)world->step, line);
}

void sim_struck_in(struct sim_world *world, enum sim_fault fault, unsigned phases) {
    sim_table_count(&world->counts->table, fault, phases);
    sim_note(world, (uint64_t)fault << 32 | phases);
}

void sim_struck(struct sim_world *world, enum sim_fault fault) {
    sim_struck_in(world, fault, sim_server_phases(world));
}
