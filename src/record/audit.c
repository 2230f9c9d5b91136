/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring has one writer, its network thread, and one reader, the audit's: each moves one of two
 * numbers that only grow, so neither ever waits.
 */
#include "record/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/hash.h"
#include "lib/logger.h"
#include "lib/random.h"
#include "record/audit_file.h"

enum {
    EVERY_MS = 100,
    RING_NOTES = 4096,    /* a power of two */
    RECENT_WORDS = 65536, /* likewise */
    BATCH_BYTES = 64 * 1024,
    LINE_BYTES_MAX = 20 + 1 + AUDIT_ID_BYTES_MAX + 1 + 10 + 1 + AUDIT_ID_BYTES_MAX + 1,
};

struct note {
    uint64_t seq;
    uint32_t serial;
    uint8_t event_id_bytes, user_id_bytes;
    char event_id[AUDIT_ID_BYTES_MAX];
    char user_id[AUDIT_ID_BYTES_MAX];
};

struct ring {
    _Alignas(64) atomic_uint_least64_t written; /* the network thread's, and so are the next two */
    struct counter lost;
    uint64_t recent[RECENT_WORDS];           /* what was noted lately, by its hash */
    _Alignas(64) atomic_uint_least64_t read; /* the audit's */
    struct note notes[RING_NOTES];
};

struct audit {
    struct audit_file file;
    struct hash_key key;
    struct ring *rings;
    uint32_t rings_count;
    struct counter lines, failures;
    char batch[BATCH_BYTES]; /* lines that are not in the file yet */
    size_t batch_bytes, batch_lines;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
    bool is_stopping;
};

/* ---- Noting ---- */

/* True the first time, and again once another one has come in its place. */
static bool is_news(const struct audit *audit, struct ring *ring, const struct audit_told *told) {
    uint64_t hash = hash_mix(hash_slice(&audit->key, told->user_id),
                             (uint64_t)told->event << 32 | told->serial);
    uint64_t *place = &ring->recent[hash % RECENT_WORDS];
    if (*place == hash) return false;
    *place = hash;
    return true;
}

void audit_note(struct audit *audit, uint32_t thread, const struct audit_told *told) {
    ASSERT(thread < audit->rings_count && told->event_id.n <= AUDIT_ID_BYTES_MAX &&
           told->user_id.n <= AUDIT_ID_BYTES_MAX);
    struct ring *ring = &audit->rings[thread];
    if (!is_news(audit, ring, told)) return;
    uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (written - atomic_load_explicit(&ring->read, memory_order_acquire) == RING_NOTES) {
        counter_add(&ring->lost, 1);
        return;
    }
    struct note *note = &ring->notes[written % RING_NOTES];
    note->seq = told->seq;
    note->serial = told->serial;
    note->event_id_bytes = (uint8_t)told->event_id.n;
    note->user_id_bytes = (uint8_t)told->user_id.n;
    memcpy(note->event_id, told->event_id.p, told->event_id.n);
    memcpy(note->user_id, told->user_id.p, told->user_id.n);
    atomic_store_explicit(&ring->written, written + 1, memory_order_release);
}

/* ---- Writing ---- */

/* What cannot be written now stays for the next time, as long as the rings have room. */
static bool flush(struct audit *audit) {
    static struct logger_limit limit;
    if (audit->batch_bytes == 0) return true;
    int code = audit_file_append(&audit->file, slice_of(audit->batch, audit->batch_bytes));
    if (code != 0) {
        counter_add(&audit->failures, 1);
        logger_line_limited(&limit, LOG_ERROR, "audit",
                            "event=audit_not_written path=%s text=\"%s\" hint=\"answers go on, "
                            "but what is told is not written down\"",
                            audit->file.path, strerror(-code));
        return false;
    }
    counter_add(&audit->lines, audit->batch_lines);
    audit->batch_bytes = audit->batch_lines = 0;
    return true;
}

static void add_line(struct audit *audit, const struct note *note) {
    int n = snprintf(audit->batch + audit->batch_bytes, LINE_BYTES_MAX + 1,
                     "%" PRIu64 " %.*s %" PRIu32 " %.*s\n", note->seq, note->event_id_bytes,
                     note->event_id, note->serial, note->user_id_bytes, note->user_id);
    audit->batch_bytes += (size_t)n;
    audit->batch_lines++;
}

static bool drain(struct audit *audit, struct ring *ring) {
    uint64_t written = atomic_load_explicit(&ring->written, memory_order_acquire);
    uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    for (; read != written; read++) {
        bool has_room = audit->batch_bytes + LINE_BYTES_MAX < BATCH_BYTES;
        if (!has_room && !flush(audit)) return false;
        add_line(audit, &ring->notes[read % RING_NOTES]);
        atomic_store_explicit(&ring->read, read + 1, memory_order_release);
    }
    return true;
}

static void write_all(struct audit *audit) {
    for (uint32_t i = 0; i < audit->rings_count; i++)
        if (!drain(audit, &audit->rings[i])) return;
    (void)flush(audit);
}

/* ---- The thread ---- */

/* False when it is to end. */
static bool rest(struct audit *audit) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += EVERY_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&audit->mutex);
    int code = 0;
    while (!audit->is_stopping && code == 0)
        code = pthread_cond_timedwait(&audit->wakes, &audit->mutex, &until);
    bool goes_on = !audit->is_stopping;
    pthread_mutex_unlock(&audit->mutex);
    return goes_on;
}

static void *run(void *argument) {
    struct audit *audit = argument;
    while (rest(audit)) write_all(audit);
    write_all(audit);
    return NULL;
}

static int start_thread(struct audit *audit) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&audit->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&audit->wakes, &attributes);
    pthread_condattr_destroy(&attributes);
    return pthread_create(&audit->thread, NULL, run, audit);
}

/* ---- Life ---- */

static void release(struct audit *audit) {
    free(audit->rings);
    free(audit);
}

struct audit *audit_start(const struct audit_options *options, struct err *err) {
    struct audit *audit = calloc(1, sizeof *audit);
    struct ring *rings = aligned_alloc(64, options->threads_count * sizeof *rings);
    if (audit == NULL || rings == NULL) {
        free(audit);
        free(rings);
        err_set(err, -ENOMEM, "no memory for the audit");
        return NULL;
    }
    memset(rings, 0, options->threads_count * sizeof *rings);
    audit->rings = rings;
    audit->rings_count = options->threads_count;
    random_fill(&random_system, &audit->key, sizeof audit->key);
    int code =
        audit_file_open(&audit->file, options->path, options->topic, options->file_bytes_max, err);
    if (code == 0 && start_thread(audit) != 0) {
        audit_file_close(&audit->file);
        code = err_set(err, -ENOMEM, "cannot start the audit's thread");
    }
    if (code == 0) return audit;
    release(audit);
    return NULL;
}

void audit_stop(struct audit *audit) {
    if (audit == NULL) return;
    pthread_mutex_lock(&audit->mutex);
    audit->is_stopping = true;
    pthread_cond_signal(&audit->wakes);
    pthread_mutex_unlock(&audit->mutex);
    pthread_join(audit->thread, NULL);
    pthread_cond_destroy(&audit->wakes);
    pthread_mutex_destroy(&audit->mutex);
    audit_file_close(&audit->file);
    release(audit);
}

void audit_count(const struct audit *audit, struct audit_counts *counts) {
    *counts = (struct audit_counts){.lines = counter_read(&audit->lines),
                                    .failures = counter_read(&audit->failures)};
    for (uint32_t i = 0; i < audit->rings_count; i++)
        counts->lost += counter_read(&audit->rings[i].lost);
}
