/* SPDX-License-Identifier: Apache-2.0
 *
 * The disks that a power cut may have left at any moment of a recorded run, rebuilt from the trace
 * that test/fake/recording_disk.c has written.
 *
 *     trace:  one event behind the other, each
 *             u32 kind, path bytes, other bytes, data bytes; u64 inode, at;
 *             path, other path, data                        (as this machine writes numbers)
 *
 * After each event some writes are synced and some names are; those are on the medium for sure. Of
 * every other one an image may have nothing, all, or a part:
 *
 *     a write     whole sectors of it: its first, its last, all but one; where the file grew, also
 *                 the new length with zeros or with something stale in place of the bytes
 *     names       the first few changes, all but one, or (when they are few) any of them
 *
 * Images are counted one by one, so that number 12,345 of a trace is always the same. Called by
 * power_cut.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/slice.h"

struct disk_trace;

/* Which files matter: changes to others make no images of their own, and they are not in them. */
typedef bool (*disk_trace_filter)(const char *name);

/* NULL when it cannot be read or is none. `bytes` must outlive it. */
struct disk_trace *disk_trace_new(struct slice bytes, disk_trace_filter is_wanted);
void disk_trace_free(struct disk_trace *trace);

/* A file of an image. */
struct disk_file {
    const char *name;
    struct slice bytes;
};

struct disk_image {
    uint64_t number;
    uint64_t trace_bytes; /* the trace up to the cut */
    struct disk_file *files;
    size_t count;
};

/* Goes through the images in order and calls `on_image` for each whose number `wants` says yes to;
 * the image is valid during the call. Stops when that returns other than 0, and returns it. `*count`
 * is how many images there are (those gone through). `on_image` NULL only counts. */
int disk_trace_images(struct disk_trace *trace, bool (*wants)(void *ctx, uint64_t number),
                      int (*on_image)(void *ctx, const struct disk_image *image), void *ctx,
                      uint64_t *count);
