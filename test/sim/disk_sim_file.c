/* SPDX-License-Identifier: Apache-2.0
 *
 * Page cache and medium of one simulated file. The writes between them are kept one by one, so that
 * a power cut can leave each sector at any of the states it went through.
 */
#include "sim/disk_sim_file.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base.h"
#include "sim/disk_sim.h"

struct disk_sim_write {
    uint64_t offset;
    size_t bytes; /* 0: the file has only grown to `offset` */
    char *p;
};

static void *must(void *allocated) {
    ASSERT(allocated != NULL);
    return allocated;
}

static void bytes_grow(struct disk_sim_bytes *bytes, uint64_t n) {
    if (n <= bytes->n) return;
    if (n > bytes->capacity) {
        bytes->capacity = n + n / 2;
        bytes->p = must(realloc(bytes->p, bytes->capacity));
    }
    memset(bytes->p + bytes->n, 0, n - bytes->n);
    bytes->n = n;
}

static void bytes_write(struct disk_sim_bytes *bytes, const void *from, size_t n, uint64_t offset) {
    bytes_grow(bytes, offset + n);
    if (n > 0) memcpy(bytes->p + offset, from, n);
}

static void forget_writes(struct disk_sim_file *file) {
    for (size_t i = 0; i < file->writes_count; i++) free(file->writes[i].p);
    file->writes_count = 0;
}

struct disk_sim_file *disk_sim_file_new(void) {
    return must(calloc(1, sizeof(struct disk_sim_file)));
}

void disk_sim_file_free(struct disk_sim_file *file) {
    forget_writes(file);
    free(file->writes);
    free(file->now.p);
    free(file->durable.p);
    free(file);
}

void disk_sim_file_write(struct disk_sim_file *file, const void *from, size_t bytes,
                         uint64_t offset) {
    if (file->writes_count == file->writes_capacity) {
        file->writes_capacity = 2 * file->writes_capacity + 8;
        size_t needed = file->writes_capacity * sizeof(file->writes[0]);
        file->writes = must(realloc(file->writes, needed));
    }
    size_t n = from == NULL ? 0 : bytes;
    struct disk_sim_write write = {.offset = offset, .bytes = n, .p = must(malloc(n + 1))};
    if (n > 0) memcpy(write.p, from, n);
    file->writes[file->writes_count++] = write;
    bytes_write(&file->now, write.p, n, offset);
}

void disk_sim_file_sync(struct disk_sim_file *file) {
    for (size_t i = 0; i < file->writes_count; i++) {
        const struct disk_sim_write *write = &file->writes[i];
        bytes_write(&file->durable, write->p, write->bytes, write->offset);
    }
    bytes_grow(&file->durable, file->now.n);
    forget_writes(file);
}

/* The part of `write` inside the sector that holds its byte number `at`, limited to the size that
 * the file will have. Returns the number of the write's first byte of the next sector. */
static size_t keep_sector(struct disk_sim_file *file, const struct disk_sim_write *write, size_t at,
                          bool is_kept) {
    uint64_t offset = write->offset + at;
    size_t in_sector = DISK_SIM_SECTOR_BYTES - (size_t)(offset % DISK_SIM_SECTOR_BYTES);
    size_t bytes = size_min(in_sector, write->bytes - at);
    if (is_kept && offset < file->durable.n)
        memcpy(file->durable.p + offset, write->p + at,
               size_min(bytes, (size_t)(file->durable.n - offset)));
    return at + bytes;
}

/* The size is metadata of its own: it may have stayed, arrived, or stopped on the way. */
static void keep_size(struct disk_sim_file *file, struct random_sim *random) {
    if (file->now.n <= file->durable.n) return;
    uint64_t growth = file->now.n - file->durable.n;
    switch (random_sim_below(random, 4)) {
    case 0:
        break;
    case 1:
        bytes_grow(&file->durable, file->durable.n + random_sim_below(random, growth));
        break;
    default:
        bytes_grow(&file->durable, file->now.n);
    }
}

static void count_loss(struct disk_sim_losses *losses, size_t pieces, size_t kept) {
    if (kept == pieces)
        losses->kept++;
    else if (kept == 0)
        losses->lost++;
    else
        losses->torn++;
}

void disk_sim_file_sync_part(struct disk_sim_file *file, struct random_sim *random,
                             struct disk_sim_losses *losses) {
    if (file->writes_count == 0) return;
    /* How much is kept differs from time to time: much, little, all, nothing. */
    static const unsigned chances[] = {0, 16, 128, 128, 240, 256};
    unsigned chance = chances[random_sim_below(random, ARRAY_LEN(chances))];
    size_t sectors = (size_t)(file->now.n / DISK_SIM_SECTOR_BYTES) + 1;
    bool *is_over = must(calloc(sectors, sizeof(*is_over)));

    keep_size(file, random);
    for (size_t i = 0; i < file->writes_count; i++) {
        const struct disk_sim_write *write = &file->writes[i];
        size_t pieces = 0, kept = 0;
        for (size_t at = 0; at < write->bytes; pieces++) {
            bool *over = &is_over[(write->offset + at) / DISK_SIM_SECTOR_BYTES];
            if (!*over && !random_sim_chance(random, chance)) *over = true;
            kept += !*over;
            at = keep_sector(file, write, at, !*over);
        }
        if (pieces > 0) count_loss(losses, pieces, kept);
    }
    free(is_over);
    forget_writes(file);
}

void disk_sim_file_revert(struct disk_sim_file *file) {
    forget_writes(file);
    file->now.n = 0;
    bytes_write(&file->now, file->durable.p, file->durable.n, 0);
}

void disk_sim_file_put(struct disk_sim_file *file, const void *from, size_t bytes) {
    file->durable.n = 0;
    bytes_write(&file->durable, from, bytes, 0);
    disk_sim_file_revert(file);
}
