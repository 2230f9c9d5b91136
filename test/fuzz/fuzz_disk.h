/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk with one file, a segment of a journal, in memory that is used again and again: what a
 * target wants that is to run some ten thousand times a second. For all else there is sim/disk_sim.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/disk.h"

enum { FUZZ_DISK_BYTES = 64 * 1024 };

#define FUZZ_DISK_FOLDER "data"

struct fuzz_disk {
    struct disk disk;
    bool is_open;
    size_t dirty_from, dirty_end; /* what was written and not synced lies in there */
    char now[FUZZ_DISK_BYTES], durable[FUZZ_DISK_BYTES];
};

/* What becomes of what was not synced. */
enum fuzz_disk_crash {
    FUZZ_DISK_LOSES,   /* all of it is gone */
    FUZZ_DISK_KEEPS,   /* all of it is there: the process died, and not the machine */
    FUZZ_DISK_TEARS,   /* every other sector of it is there */
    FUZZ_DISK_CRASHES, /* their count */
};

/* A file of zeros, for the caller to fill. */
char *fuzz_disk_begin(struct fuzz_disk *disk);
/* What it was filled with is durable. */
void fuzz_disk_settle(struct fuzz_disk *disk);
/* True when what is read differs from what was made durable last. */
bool fuzz_disk_has_changed(const struct fuzz_disk *disk);
void fuzz_disk_crash(struct fuzz_disk *disk, enum fuzz_disk_crash crash);
