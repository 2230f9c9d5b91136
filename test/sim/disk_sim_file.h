/* SPDX-License-Identifier: Apache-2.0
 *
 * The content of one file of the simulated disk: what reads see, what is durable, and the writes
 * between the two. Used by disk_sim.c only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sim/disk_sim.h"
#include "sim/random_sim.h"

struct disk_sim_bytes {
    char *p;
    uint64_t n;
    uint64_t capacity;
};

struct disk_sim_write; /* made, not yet synced */

struct disk_sim_file {
    struct disk_sim_bytes now, durable;
    struct disk_sim_write *writes; /* in the order they were made */
    size_t writes_count, writes_capacity;
    unsigned references; /* names, durable names, un-synced changes of names, open fds */
};

struct disk_sim_file *disk_sim_file_new(void);
void disk_sim_file_free(struct disk_sim_file *file);

/* Writes `bytes` bytes, or only grows the file to `offset` when `from` is NULL. */
void disk_sim_file_write(struct disk_sim_file *file, const void *from, size_t bytes,
                         uint64_t offset);

/* All un-synced writes become durable. */
void disk_sim_file_sync(struct disk_sim_file *file);

/* A random legal part of the un-synced writes becomes durable, the rest never will. Reads still see
 * all of it. What became of them is added to `losses`. */
void disk_sim_file_sync_part(struct disk_sim_file *file, struct random_sim *random,
                             struct disk_sim_losses *losses);

/* Reads see what is durable; un-synced writes are forgotten. */
void disk_sim_file_revert(struct disk_sim_file *file);

/* Replaces the content, durably. */
void disk_sim_file_put(struct disk_sim_file *file, const void *from, size_t bytes);
