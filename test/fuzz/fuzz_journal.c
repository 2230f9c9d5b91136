/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the only segment of a journal. Opening them, to read and to write, may refuse; what
 * it accepts it must accept again, the same records in the same order, and be able to append to.
 * The first segment's head is put in front of them, and their records are signed, as few inputs
 * would have either by themselves. The first byte of the input says how.
 */
#include "fuzz/fuzz.h"

#include "fuzz/fuzz_disk.h"
#include "lib/logger.h"
#include "log/journal.h"
#include "log/journal_scan.h"
#include "sim/random_sim.h"

enum { SEGMENT_BYTES = FUZZ_DISK_BYTES, WITH_HEAD = 1, SIGNED = 2, IN_ORDER = 4, CRASH_SHIFT = 3 };
enum { AT_BATCH = 6, AT_BYTES = 8, SEGMENT_ID = 42 };

static size_t put_head(char *bytes) {
    const struct record head = {
        .type = RECORD_SEGMENT,
        .segment = SEGMENT_ID,
        .segment_head = {.first_seq = 1, .segment_bytes = SEGMENT_BYTES},
    };
    return record_encode(bytes, &head);
}

/* Gives what looks like records its place, and a good CRC. */
static void sign(char *at, const char *end, unsigned how) {
    for (uint64_t seq = 1; at + RECORD_HEADER_BYTES <= end; seq++) {
        uint16_t batch;
        uint32_t bytes;
        memcpy(&batch, at + AT_BATCH, sizeof(batch));
        memcpy(&bytes, at + AT_BYTES, sizeof(bytes));
        if (bytes < RECORD_HEADER_BYTES || bytes > (size_t)(end - at)) return;
        uint64_t place = how & IN_ORDER ? seq : (uint64_t)(unsigned char)at[16];
        record_place(at, place, SEGMENT_ID, batch);
        at += round_up(bytes, RECORD_ALIGN);
    }
}

struct seen {
    uint64_t count, digest;
};

static int on_record(void *ctx, const struct record *record, struct slice encoded) {
    struct seen *seen = ctx;
    ASSERT(record->type != RECORD_MARK && record->type != RECORD_SEGMENT);
    ASSERT(encoded.n == record_padded_bytes(encoded.p));
    seen->count++;
    seen->digest = seen->digest * 31 + record_crc(encoded.p) + record->seq;
    return 0;
}

static void append(struct journal *journal) {
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    const struct record pause = {.type = RECORD_PAUSE, .event_id = SLICE("e")};
    const size_t n = record_encode(bytes, &pause);
    if (n <= journal_room_bytes(journal)) ASSERT(journal_append(journal, bytes, n, 1) == 0);
}

/* -1 when the opening was refused. */
static int open_once(struct fuzz_disk *disk, bool read_only, struct seen *seen, int appends) {
    struct random_sim random;
    random_sim_init(&random, 1);
    const struct journal_options options = {.folder = FUZZ_DISK_FOLDER,
                                            .segment_bytes = SEGMENT_BYTES,
                                            .disk = &disk->disk,
                                            .random = &random.source,
                                            .read_only = read_only};
    struct journal *journal;
    struct err err;
    *seen = (struct seen){0};
    int code = journal_open(&journal, &options, on_record, seen, &err);
    ASSERT((code == 0) == (journal != NULL));
    if (code != 0) ASSERT(err.code == code && err.text[0] != '\0');
    for (int i = 0; code == 0 && i < appends; i++) append(journal);
    journal_close(journal);
    ASSERT(!disk->is_open);
    return code == 0 ? 0 : -1;
}

/* A segment that says it is larger than its file would take the memory of its full size each time.
 */
static bool is_too_large(const char *bytes) {
    struct record head;
    const enum record_status status = journal_scan_head(slice_of(bytes, SEGMENT_BYTES), &head);
    return status == RECORD_OK && head.segment_head.segment_bytes > SEGMENT_BYTES;
}

static void check(struct fuzz_disk *disk, enum fuzz_disk_crash crash) {
    struct seen reading, writing, again;
    int code = open_once(disk, true, &reading, 0);
    ASSERT(!fuzz_disk_has_changed(disk));
    ASSERT(open_once(disk, false, &writing, 2) == code);
    ASSERT(reading.count == writing.count && reading.digest == writing.digest);
    if (code != 0) {
        ASSERT(!fuzz_disk_has_changed(disk));
        return;
    }
    fuzz_disk_crash(disk, crash);
    ASSERT(open_once(disk, true, &again, 0) == 0);
    ASSERT(again.count >= writing.count && again.count <= writing.count + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fuzz_disk disk;
    logger_set_level(LOG_ERROR + 1);
    if (size == 0) return 0;
    const unsigned how = data[0];
    char *bytes = fuzz_disk_begin(&disk);
    const size_t head = how & WITH_HEAD ? put_head(bytes) : 0;
    const size_t n = size_min(size - 1, SEGMENT_BYTES - head);
    memcpy(bytes + head, data + 1, n);
    if (how & SIGNED) sign(bytes + head, bytes + head + n, how);
    if (is_too_large(bytes)) return 0;
    fuzz_disk_settle(&disk);
    check(&disk, (how >> CRASH_SHIFT) % FUZZ_DISK_CRASHES);
    return 0;
}
