/* SPDX-License-Identifier: Apache-2.0
 *
 * What a start makes of a journal that is cut, garbled, torn, incomplete or mixed up: all records,
 * or a refusal that says where. Never an altered record, never a durable one lost in silence.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/logger.h"
#include "sim/journal_rig.h"

enum { BATCHES = 15, MANY_BATCHES = 60, OFFSETS_MAX = 4096 };

struct place { /* of a record in a segment */
    size_t offset, end;
    enum record_type type;
};

struct fixture {
    struct journal_rig *rig;
    size_t written;
    char *segment; /* the bytes of the first segment */
    size_t segment_bytes;
    struct place places[OFFSETS_MAX];
    size_t places_count;
};

static size_t find_places(struct place *places, struct slice segment) {
    size_t count = 0, offset = 0, bytes;
    struct record record;
    while (record_decode(slice_of(segment.p + offset, segment.n - offset), &record, &bytes) ==
           RECORD_OK) {
        places[count++] = (struct place){offset, offset + bytes, record.type};
        offset += bytes;
    }
    return count;
}

static void must_open(struct journal_rig *rig) {
    const char *wrong;
    if (journal_rig_open(rig, &wrong) != 0) fail_msg("%s", rig->err.text);
    if (wrong != NULL) fail_msg("%s", wrong);
}

/* A closed journal. The same records in the same places for any `seed`, which gives the ids of its
 * segments. */
static struct journal_rig *make_journal(uint64_t seed, int batches, size_t count_max) {
    struct random_sim counts;
    random_sim_init(&counts, 11);
    struct journal_rig *rig = journal_rig_new(7);
    random_sim_init(&rig->random, seed);
    must_open(rig);
    for (int i = 0; i < batches; i++) {
        assert_int_equal(journal_rig_prepare(rig), 0);
        assert_int_equal(journal_rig_append(rig, 1 + random_sim_below(&counts, count_max)), 0);
    }
    journal_rig_close(rig);
    return rig;
}

static int set_up_batches(void **state, int batches, size_t count_max) {
    struct fixture *f = calloc(1, sizeof(*f));
    f->rig = make_journal(1, batches, count_max);
    f->written = f->rig->history.acknowledged;
    struct slice segment = disk_sim_peek(f->rig->sim, RIG_FIRST_SEGMENT);
    f->segment = malloc(segment.n);
    f->segment_bytes = segment.n;
    memcpy(f->segment, segment.p, segment.n);
    f->places_count = find_places(f->places, segment);
    *state = f;
    return 0;
}

/* About 60 records in 15 commits, in one segment. */
static int set_up_one(void **state) {
    return set_up_batches(state, BATCHES, 7);
}

/* Four segments or more. */
static int set_up_many(void **state) {
    return set_up_batches(state, MANY_BATCHES, RIG_COUNT_MAX);
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    bool is_clean = journal_rig_free(f->rig);
    free(f->segment);
    free(f);
    return is_clean ? 0 : -1;
}

/* Puts the first segment back as it was, in its first `bytes` bytes, and the history with it. */
static void restore(struct fixture *f, size_t bytes) {
    journal_rig_close(f->rig);
    disk_sim_put(f->rig->sim, RIG_FIRST_SEGMENT, slice_of(f->segment, bytes));
    f->rig->history.written = f->rig->history.acknowledged = f->written;
}

static void assert_refused(struct journal_rig *rig, int code, const char *file) {
    const char *wrong;
    assert_int_equal(journal_rig_open(rig, &wrong), code);
    assert_null(rig->journal);
    assert_true(rig->err.fatal);
    assert_null(rig->history.wrong); /* nothing altered was shown before the refusal */
    if (strstr(rig->err.text, file) == NULL) fail_msg("%s: not %s", rig->err.text, file);
}

/* XORs `bytes` bytes of the file at `offset` with `with`, or zeroes them where that is 0. */
static void garble(struct journal_rig *rig, const char *path, size_t offset, size_t bytes,
                   char with) {
    struct slice now = disk_sim_peek(rig->sim, path);
    char *copy = malloc(now.n);
    memcpy(copy, now.p, now.n);
    for (size_t i = 0; i < bytes; i++) copy[offset + i] = (char)(with == 0 ? 0 : copy[i] ^ with);
    disk_sim_put(rig->sim, path, slice_of(copy, now.n));
    free(copy);
}

/* ---- Cut ---- */

/* Behind this the record has zeros only, which a cut does not lose. */
static size_t content_end(const struct fixture *f, const struct place *place) {
    size_t end = place->end;
    while (f->segment[end - 1] == 0) end--;
    return end;
}

static void cut_at_every_length(void **state) {
    struct fixture *f = *state;
    size_t end = f->places[f->places_count - 1].end;
    assert_true(f->written >= 50);
    for (size_t length = 0; length <= end + 16; length++) {
        restore(f, length);
        f->rig->history.acknowledged = 0;
        if (length < content_end(f, &f->places[0])) {
            assert_refused(f->rig, -EBADMSG, RIG_FIRST_SEGMENT ", offset 0");
            continue;
        }
        size_t whole = 0;
        for (size_t i = 0; i < f->places_count; i++)
            whole += f->places[i].type == RECORD_WIN && content_end(f, &f->places[i]) <= length;
        must_open(f->rig);
        assert_int_equal(f->rig->history.read, whole);
        assert_int_equal(disk_sim_peek(f->rig->sim, RIG_FIRST_SEGMENT).n, f->segment_bytes);
        if (length % 7 != 0) continue;
        struct journal_rig *rig = journal_rig_clone(f->rig, length);
        must_open(rig);
        assert_int_equal(journal_rig_append(rig, 2), 0);
        journal_rig_close(rig);
        must_open(rig);
        assert_int_equal(rig->history.read, whole + 2);
        assert_true(journal_rig_free(rig));
    }
}

/* ---- Garbled ---- */

/* What the flip of a bit at `offset` must lead to. */
static bool must_be_refused(const struct fixture *f, size_t offset) {
    return offset < f->places[f->places_count - 1].offset; /* before the last MARK */
}

static void every_flipped_bit(void **state) {
    struct fixture *f = *state;
    size_t end = f->places[f->places_count - 1].end, refused = 0, cut = 0;
    assert_int_equal(f->places[f->places_count - 1].type, RECORD_MARK);
    for (size_t bit = 0; bit < (end + 64) * 8; bit++) {
        f->segment[bit / 8] ^= (char)(1 << bit % 8);
        restore(f, f->segment_bytes);
        f->segment[bit / 8] ^= (char)(1 << bit % 8);
        if (must_be_refused(f, bit / 8)) {
            assert_refused(f->rig, -EBADMSG, RIG_FIRST_SEGMENT);
            refused++;
        } else {
            must_open(f->rig);
            assert_int_equal(f->rig->history.read, f->written);
            cut++;
        }
    }
    assert_int_equal(refused + cut, (end + 64) * 8);
}

/* Whole sectors that hold something else, as a disk that lost a write would show them. */
static void every_zeroed_sector(void **state) {
    struct fixture *f = *state;
    size_t last = f->places[f->places_count - 1].offset / 512;
    for (size_t sector = 0; sector < last; sector++) {
        char copy[512];
        memcpy(copy, f->segment + 512 * sector, 512);
        memset(f->segment + 512 * sector, 0, 512);
        restore(f, f->segment_bytes);
        memcpy(f->segment + 512 * sector, copy, 512);
        assert_refused(f->rig, -EBADMSG, RIG_FIRST_SEGMENT);
    }
}

static void refusal_names_the_offset(void **state) {
    struct fixture *f = *state;
    const struct place *place = &f->places[20];
    f->segment[place->offset + 40] ^= 1;
    restore(f, f->segment_bytes);
    char text[64];
    snprintf(text, sizeof(text), RIG_FIRST_SEGMENT ", offset %zu:", place->offset);
    assert_refused(f->rig, -EBADMSG, text);
    assert_non_null(strstr(f->rig->err.text, "coupond log check data"));
    f->rig->options.read_only = true;
    assert_refused(f->rig, -EBADMSG, text);
}

static void newer_record_is_refused(void **state) {
    struct fixture *f = *state;
    _Alignas(8) char newer[RECORD_BYTES_MAX];
    struct record record;
    for (size_t i = 0; i < f->places_count; i += 9) {
        const struct place *place = &f->places[i];
        size_t bytes = place->end - place->offset;
        memcpy(newer, f->segment + place->offset, bytes);
        assert_int_equal(record_decode(slice_of(newer, bytes), &record, NULL), RECORD_OK);
        newer[4]++; /* its version */
        record_place(newer, record.seq, record.segment, record.batch);
        memcpy(newer + bytes, f->segment + place->offset, bytes);
        memcpy(f->segment + place->offset, newer, bytes);
        restore(f, f->segment_bytes);
        memcpy(f->segment + place->offset, newer + bytes, bytes);
        assert_refused(f->rig, -EPROTONOSUPPORT, "newer coupond");
    }
}

/* ---- Torn ---- */

/* A commit larger than a page of which the first sectors never arrived and later ones did: valid
 * records behind the gap prove nothing. What is cut is zeroed, or it could fit in again one day. */
static void torn_commit_is_cut_and_zeroed(void **state) {
    struct fixture *f = *state;
    size_t tail = f->places[f->places_count - 1].end;
    restore(f, f->segment_bytes);
    must_open(f->rig);
    assert_int_equal(journal_rig_append(f->rig, RIG_COUNT_MAX), 0);
    journal_rig_close(f->rig);
    struct slice now = disk_sim_peek(f->rig->sim, RIG_FIRST_SEGMENT);
    size_t end = find_places(f->places, now);
    size_t mark = f->places[end - 1].offset;
    size_t gaps[] = {tail, tail + 300, tail + 2000};
    for (size_t i = 0; i < ARRAY_LEN(gaps); i++) {
        char *torn = malloc(now.n);
        memcpy(torn, disk_sim_peek(f->rig->sim, RIG_FIRST_SEGMENT).p, now.n);
        memset(torn + mark, 0, 40);
        memset(torn + gaps[i], 0, 700);
        struct journal_rig *rig = journal_rig_clone(f->rig, i);
        disk_sim_put(rig->sim, RIG_FIRST_SEGMENT, slice_of(torn, now.n));
        free(torn);
        rig->history.acknowledged = f->written;
        rig->options.read_only = true;
        must_open(rig);
        struct journal_summary summary;
        journal_get_summary(rig->journal, &summary);
        assert_true(summary.torn_bytes > 4000);
        journal_rig_close(rig);

        rig->history.written = f->written + RIG_COUNT_MAX;
        rig->options.read_only = false;
        must_open(rig);
        struct slice left = disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT);
        struct place places[256];
        size_t good = places[find_places(places, left) - 1].end;
        for (size_t at = good; at < left.n; at++) assert_int_equal(left.p[at], 0);
        assert_true(journal_rig_free(rig));
    }
}

/* The last MARK may have been lost. A start, which makes the commit before it durable, writes it
 * again, so that from then on damage to that commit is known as damage. */
static void lost_mark_is_written_again(void **state) {
    struct fixture *f = *state;
    const struct place *mark = &f->places[f->places_count - 1];
    memset(f->segment + mark->offset, 0, mark->end - mark->offset);
    restore(f, f->segment_bytes);
    must_open(f->rig);
    journal_rig_close(f->rig);
    garble(f->rig, RIG_FIRST_SEGMENT, f->places[f->places_count - 2].offset + 40, 1, 1);
    assert_refused(f->rig, -EBADMSG, RIG_FIRST_SEGMENT);
}

/* Larger than what a torn commit can reach: the whole of it comes back. */
static void cut_large_segment_is_extended(void **state) {
    struct fixture *f = *state;
    struct journal_rig *rig = journal_rig_new(9);
    rig->options.segment_bytes = 40 * RIG_SEGMENT_BYTES;
    must_open(rig);
    assert_int_equal(journal_rig_append(rig, 10), 0);
    journal_rig_close(rig);
    struct slice now = disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT);
    memcpy(f->segment, now.p, f->segment_bytes);
    disk_sim_put(rig->sim, RIG_FIRST_SEGMENT, slice_of(f->segment, f->segment_bytes));
    must_open(rig);
    assert_int_equal(rig->history.read, 10);
    assert_int_equal(disk_sim_peek(rig->sim, RIG_FIRST_SEGMENT).n, 40 * RIG_SEGMENT_BYTES);
    assert_true(journal_rig_free(rig));
}

/* ---- Beside a writer ---- */

/* A disk that shows the segment as it was a moment ago in one place, and as it is in all others,
 * the first time that it is read whole. */
struct racing_disk {
    struct disk disk, *real;
    uint64_t from, to;
    bool is_over;
};

static struct disk *real_of(struct disk *disk) {
    return CONTAINER_OF(disk, struct racing_disk, disk)->real;
}

static int racing_open(struct disk *disk, const char *path, enum disk_open how) {
    return real_of(disk)->open(real_of(disk), path, how);
}

static int racing_close(struct disk *disk, int fd) {
    return real_of(disk)->close(real_of(disk), fd);
}

static int64_t racing_size(struct disk *disk, int fd) {
    return real_of(disk)->size(real_of(disk), fd);
}

static int racing_list(struct disk *disk, const char *path,
                       void (*on_each)(void *ctx, const char *name), void *ctx) {
    return real_of(disk)->list(real_of(disk), path, on_each, ctx);
}

static ssize_t racing_pread(struct disk *disk, int fd, void *to, size_t bytes, uint64_t offset) {
    struct racing_disk *racing = CONTAINER_OF(disk, struct racing_disk, disk);
    ssize_t n = racing->real->pread(racing->real, fd, to, bytes, offset);
    if (n < (ssize_t)RIG_SEGMENT_BYTES || racing->is_over) return n;
    racing->is_over = true;
    memset((char *)to + racing->from, 0, (size_t)(racing->to - racing->from));
    return n;
}

static void reader_looks_again(void **state) {
    struct fixture *f = *state;
    for (size_t i = 1; i + 4 < f->places_count; i += 5) {
        restore(f, f->segment_bytes);
        struct racing_disk racing = {.disk = {.open = racing_open,
                                              .close = racing_close,
                                              .pread = racing_pread,
                                              .size = racing_size,
                                              .list = racing_list},
                                     .real = disk_sim_disk(f->rig->sim),
                                     .from = f->places[i].offset,
                                     .to = f->places[i + 3].end};
        f->rig->options.disk = &racing.disk;
        f->rig->options.read_only = true;
        must_open(f->rig);
        assert_true(racing.is_over);
        assert_int_equal(f->rig->history.read, f->written);
        f->rig->options.disk = racing.real;
    }
}

/* ---- Segments ---- */

/* The names of all segments, in order. */
struct segments {
    char paths[64][64];
    size_t count;
};

static void on_name(void *ctx, const char *name) {
    struct segments *segments = ctx;
    if (strncmp(name, "journal-", 8) != 0) return;
    snprintf(segments->paths[segments->count++], sizeof(segments->paths[0]), "data/%.40s", name);
}

static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}

static struct segments list_segments(struct journal_rig *rig) {
    struct segments segments = {0};
    struct disk *disk = disk_sim_disk(rig->sim);
    assert_int_equal(disk->list(disk, "data", on_name, &segments), 0);
    qsort(segments.paths, segments.count, sizeof(segments.paths[0]), compare);
    assert_true(segments.count >= 4);
    return segments;
}

/* Everything in a segment that is not the last had been durable, its last MARK too. */
static void damage_in_older_segment(void **state) {
    struct fixture *f = *state;
    struct segments segments = list_segments(f->rig);
    for (size_t i = 0; i + 1 < segments.count; i++) {
        const char *path = segments.paths[i];
        size_t count = find_places(f->places, disk_sim_peek(f->rig->sim, path));
        for (size_t k = 0; k < count; k += k + 1 < count && k + 8 >= count ? 1 : 7) {
            struct journal_rig *rig = journal_rig_clone(f->rig, i);
            size_t at = f->places[k].offset, bytes = f->places[k].end - at;
            bool is_zeroed = k % 2 == 0;
            garble(rig, path, at, is_zeroed ? bytes : 1, is_zeroed ? 0 : 4);
            assert_refused(rig, -EBADMSG, path);
            assert_true(journal_rig_free(rig));
        }
        struct journal_rig *rig = journal_rig_clone(f->rig, i);
        garble(rig, path, f->places[count - 1].end + 8, 1, 1); /* not even a torn write */
        assert_refused(rig, -EBADMSG, path);
        assert_true(journal_rig_free(rig));
    }
}

static void missing_segment(void **state) {
    struct fixture *f = *state;
    struct segments segments = list_segments(f->rig);
    for (size_t i = 0; i < segments.count; i++) {
        struct journal_rig *rig = journal_rig_clone(f->rig, i);
        disk_sim_remove(rig->sim, segments.paths[i]);
        if (i + 1 < segments.count) {
            assert_refused(rig, -EBADMSG, segments.paths[i]);
            assert_non_null(strstr(rig->err.text, "is missing"));
        }
        assert_true(journal_rig_free(rig));
    }
}

static void swapped_segments(void **state) {
    struct fixture *f = *state;
    struct segments segments = list_segments(f->rig);
    for (size_t i = 0; i + 1 < segments.count; i++) {
        struct journal_rig *rig = journal_rig_clone(f->rig, i);
        const char *a = segments.paths[i], *b = segments.paths[i + 1];
        struct slice one = disk_sim_peek(f->rig->sim, a), two = disk_sim_peek(f->rig->sim, b);
        disk_sim_put(rig->sim, a, two);
        disk_sim_put(rig->sim, b, one);
        assert_refused(rig, -EBADMSG, a);
        assert_true(journal_rig_free(rig));
    }
}

/* A segment of another journal does not fit, although its name, its seqs and its records do. */
static void segment_of_another_journal(void **state) {
    struct fixture *f = *state;
    struct segments segments = list_segments(f->rig);
    struct journal_rig *other = make_journal(2, MANY_BATCHES, RIG_COUNT_MAX);
    for (size_t i = 0; i < segments.count; i++) {
        struct journal_rig *rig = journal_rig_clone(f->rig, i);
        disk_sim_put(rig->sim, segments.paths[i], disk_sim_peek(other->sim, segments.paths[i]));
        assert_refused(rig, -EBADMSG, segments.paths[i == 0 ? 1 : i]);
        assert_true(journal_rig_free(rig));
    }
    assert_true(journal_rig_free(other));
}

/* The last record of a segment replaced by another good one: the next segment remembers its CRC. */
static void end_of_a_segment_replaced(void **state) {
    struct fixture *f = *state;
    struct segments segments = list_segments(f->rig);
    struct slice now = disk_sim_peek(f->rig->sim, segments.paths[1]);
    struct record mark;
    size_t at = f->places[find_places(f->places, now) - 1].offset;
    assert_int_equal(record_decode(slice_of(now.p + at, now.n - at), &mark, NULL), RECORD_OK);
    mark.ms++;
    char *copy = malloc(now.n);
    memcpy(copy, now.p, now.n);
    assert_true(record_encode(copy + at, &mark) > 0);
    disk_sim_put(f->rig->sim, segments.paths[1], slice_of(copy, now.n));
    free(copy);
    assert_refused(f->rig, -EBADMSG, segments.paths[1]);
}

static void renamed_segment(void **state) {
    struct fixture *f = *state;
    restore(f, f->segment_bytes);
    struct slice bytes = slice_of(f->segment, f->segment_bytes);
    disk_sim_remove(f->rig->sim, RIG_FIRST_SEGMENT);
    disk_sim_put(f->rig->sim, "data/journal-0000000000000002.log", bytes);
    assert_refused(f->rig, -EBADMSG, "data/journal-0000000000000002.log");
}

static void foreign_files_are_ignored(void **state) {
    struct fixture *f = *state;
    const char *names[] = {"data/journal-1.log",
                           "data/journal-000000000000000x.log",
                           "data/journal-00000000000000001.log",
                           "data/journal-0000000000000002.txt",
                           "data/notes",
                           "data/lock",
                           "data/other/journal-0000000000000009.log",
                           "data/journal-0000000000000001.log.bak",
                           "data/journal.next"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) disk_sim_put(f->rig->sim, names[i], SLICE("?"));
    must_open(f->rig);
    assert_int_equal(f->rig->history.read, f->written);
}

#define WITH(set_up, name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    logger_set_level(LOG_ERROR); /* thousands of cuts are made on purpose */
    const struct CMUnitTest tests[] = {
        WITH(set_up_one, cut_at_every_length),
        WITH(set_up_one, every_flipped_bit),
        WITH(set_up_one, every_zeroed_sector),
        WITH(set_up_one, refusal_names_the_offset),
        WITH(set_up_one, newer_record_is_refused),
        WITH(set_up_one, torn_commit_is_cut_and_zeroed),
        WITH(set_up_one, lost_mark_is_written_again),
        WITH(set_up_one, cut_large_segment_is_extended),
        WITH(set_up_one, reader_looks_again),
        WITH(set_up_one, renamed_segment),
        WITH(set_up_many, damage_in_older_segment),
        WITH(set_up_many, missing_segment),
        WITH(set_up_many, swapped_segments),
        WITH(set_up_many, segment_of_another_journal),
        WITH(set_up_many, end_of_a_segment_replaced),
        WITH(set_up_one, foreign_files_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
