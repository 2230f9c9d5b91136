/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk in memory that knows what a real one may forget. For tests and the simulator.
 *
 * Every file has two contents: what a read returns now (the page cache) and what is durable. Every
 * name has two states likewise: what a listing shows and what the directory on the medium says.
 *
 *     pwrite, fallocate ----------> now ---- fdatasync(fd) --------> durable
 *     open(new), rename, unlink --> names -- sync_directory(dir) --> durable names
 *
 * Three ways to end a process:
 *
 *     disk_sim_kill      kill -9: every fd is gone, the page cache stays. Nothing is lost.
 *     disk_sim_crash     power cut: every fd is gone, and of what was not synced a random legal
 *                        part is kept. For each sector of 512 bytes: the durable content, or the
 *                        content after any one of the un-synced writes to it, independent of every
 *                        other sector (so a write may arrive in part, later writes without earlier
 *                        ones). Names: half of the time a prefix of the un-synced changes, as a
 *                        journalling file system does, else any subset. A rename is never half.
 *     disk_sim_cut_power_at   as a crash, at the n-th call from now: that call may or may not have
 *                        its effect, and it and all later calls return -EIO and do nothing more.
 *                        The code under test then ends as it likes; call disk_sim_crash after it.
 *
 * Faults: disk_sim_fail makes the n-th call of a kind return a code. A failing pwrite may have
 * written a part. A failing fdatasync makes a random part durable and FORGETS the rest: reads still
 * show it, no later fdatasync saves it, a crash undoes it. That is what Linux does to dirty pages
 * after a write-back error, so code that syncs again and goes on loses data here as it would there.
 *
 * Paths are plain text: "dir/name"; a directory exists as soon as a name is in it. One thread only.
 * Same seed and same calls: same result, bit for bit.
 *
 *     struct disk_sim *sim = disk_sim_new(seed, 0);
 *     ... use disk_sim_disk(sim) as the struct disk of the code under test ...
 *     disk_sim_crash(sim);
 *     ... start the code under test again over the same disk and look ...
 *     disk_sim_free(sim);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/disk.h"
#include "lib/slice.h"

enum { DISK_SIM_SECTOR_BYTES = 512 };

struct disk_sim;

/* `capacity_bytes` is the sum of the sizes of all files that fits; 0 for no limit. A pwrite past it
 * is short, then -ENOSPC. Never NULL. */
struct disk_sim *disk_sim_new(uint64_t seed, uint64_t capacity_bytes) MUST_CHECK;
void disk_sim_free(struct disk_sim *sim);

/* What the code under test gets. Belongs to `sim`. */
struct disk *disk_sim_disk(struct disk_sim *sim);

/* Another disk with the files of this one as reads see them now, all durable, no fault armed. */
struct disk_sim *disk_sim_clone(const struct disk_sim *sim, uint64_t seed) MUST_CHECK;

/* ---- Fate ---- */

enum disk_sim_call {
    DISK_SIM_OPEN,
    DISK_SIM_CLOSE,
    DISK_SIM_PREAD,
    DISK_SIM_PWRITE,
    DISK_SIM_FDATASYNC,
    DISK_SIM_FALLOCATE,
    DISK_SIM_SIZE,
    DISK_SIM_RENAME,
    DISK_SIM_UNLINK,
    DISK_SIM_SYNC_DIRECTORY,
    DISK_SIM_LIST,
    DISK_SIM_ANY,
    DISK_SIM_CALLS /* how many kinds there are */
};

/* How many calls of this kind were made so far. */
uint64_t disk_sim_calls(const struct disk_sim *sim, enum disk_sim_call call);

/* What disk_sim_fail takes in place of an errno for a pread or pwrite that does about half of it.
 */
#define DISK_SIM_SHORT 1

/* The `nth` call of this kind from now (1 is the next one) returns `code`, a negative errno, or is
 * short (DISK_SIM_SHORT). One fault for each kind at a time; 0 as `nth` takes it back. */
void disk_sim_fail(struct disk_sim *sim, enum disk_sim_call call, uint64_t nth, int code);

/* Power goes at the `nth` call from now, of any kind. 0 takes it back. */
void disk_sim_cut_power_at(struct disk_sim *sim, uint64_t nth);
bool disk_sim_has_power(const struct disk_sim *sim);

/* What an armed fault did since this was asked last; false when none struck. */
struct disk_sim_strike {
    enum disk_sim_call call; /* what was called, not what was armed */
    int code;                /* as armed; of a cut of power -EIO, too */
    bool is_power_cut;
};
bool disk_sim_take_strike(struct disk_sim *sim, struct disk_sim_strike *strike);

/* Power is cut, if it was not yet, and comes back; faults that were armed are taken back. */
void disk_sim_crash(struct disk_sim *sim);

/* What the last crash did to writes that were not synced. */
struct disk_sim_losses {
    uint64_t lost, torn, kept; /* writes of which nothing, a part, all arrived */
};
struct disk_sim_losses disk_sim_losses(const struct disk_sim *sim);

void disk_sim_kill(struct disk_sim *sim);

/* As disk_sim_kill, and it was not the power that went at disk_sim_cut_power_at but the process:
 * its calls after that point were never made, and the page cache is whole. */
void disk_sim_resume(struct disk_sim *sim);

void disk_sim_set_capacity(struct disk_sim *sim, uint64_t capacity_bytes);

/* ---- The hand that reaches into the medium (durable at once, never fails) ---- */

/* The bytes of a file as reads see them; p is NULL when there is none. Until the next call. */
struct slice disk_sim_peek(const struct disk_sim *sim, const char *path);

/* Makes the file, or replaces all of its content. */
void disk_sim_put(struct disk_sim *sim, const char *path, struct slice bytes);

void disk_sim_remove(struct disk_sim *sim, const char *path);

/* Rot: turns the bits of `mask` in one byte of a file. */
void disk_sim_flip(struct disk_sim *sim, const char *path, uint64_t offset, unsigned char mask);

/* The path of the `index`-th file; NULL behind the last. */
const char *disk_sim_path(const struct disk_sim *sim, size_t index);

/* Open file descriptors, to find leaks. */
size_t disk_sim_open_files(const struct disk_sim *sim);
