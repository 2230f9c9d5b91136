/* SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts of a recorded run: of all the disks that one may have left (disk_trace.h), many are
 * recovered by the journal's own code, and compared with what clients had been told before the cut.
 *
 *     power_cut TRACE TOLD [--images N] [--seed S]     recovers N images, spread over all
 *     power_cut TRACE - --write NUMBER FOLDER          makes image NUMBER of all files, for a
 * server power_cut TRACE - --count                        how many of those there are
 *
 * TOLD has a line for each thing that was told, with the length of the trace at that moment:
 *
 *     BYTES open EVENT | BYTES pass EVENT USER SERIAL | BYTES gone EVENT USER
 *
 * `gone`: the user has asked for a return; from then on nothing is expected. Of each image: it
 * opens; its records are the first ones of the run, unaltered; everything that had been told is
 * there; the keys are those of the run; and what is written behind it is there after the next
 * opening. Exit status 0, or 1 with the number of the first image that is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claim/view.h"
#include "lib/logger.h"
#include "log/journal.h"
#include "sim/disk_sim.h"
#include "sim/disk_trace.h"
#include "sim/random_sim.h"

enum { SEGMENT_BYTES = 64 * 1024, PATH_BYTES = 512, GOES_ON_EVERY = 16 };

struct told {
    uint64_t bytes;
    char what[8], event[72], user[72];
    unsigned serial;
};

struct run {
    struct told *told;
    size_t told_count;
    uint32_t *crcs; /* of the records of the whole run, by their seq */
    size_t crcs_count;
    char *key; /* the key of the run: a file */
    size_t key_bytes;

    struct random_sim random;
    uint64_t images, all, checked, opened_empty, torn;
    const char *folder; /* to write one image to */
    uint64_t wanted;
};

static void *must(void *p) {
    ASSERT(p != NULL);
    return p;
}

static _Noreturn void give_up(const char *what, const char *name) {
    fprintf(stderr, "power_cut: %s %s\n", what, name);
    exit(2);
}

static struct slice read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) give_up("cannot read", path);
    size_t n = (size_t)ftell(file);
    char *p = must(malloc(n + 1));
    rewind(file);
    if (fread(p, 1, n, file) != n) give_up("cannot read", path);
    fclose(file);
    p[n] = '\0';
    return slice_of(p, n);
}

static struct slice slice_from(const char *text) {
    return slice_of(text, strlen(text));
}

/* ---- What was told ---- */

static struct told read_line(const char *line) {
    struct told told = {.serial = 0};
    unsigned long long bytes = 0;
    int fields = sscanf(line, "%llu %7s %71s %71s %u", &bytes, told.what, told.event, told.user,
                        &told.serial);
    if (fields < 3) give_up("does not understand", line);
    told.bytes = bytes;
    return told;
}

static void read_told(struct run *run, const char *path) {
    struct slice text = read_file(path);
    size_t capacity = 0;
    for (const char *line = text.p; *line != '\0';) {
        if (run->told_count == capacity) {
            capacity = 2 * capacity + 64;
            run->told = must(realloc(run->told, capacity * sizeof *run->told));
        }
        run->told[run->told_count++] = read_line(line);
        const char *end = strchr(line, '\n');
        line = end == NULL ? line + strlen(line) : end + 1;
    }
    free((char *)(uintptr_t)text.p);
}

static bool is(const struct told *told, const char *what) {
    return strcmp(told->what, what) == 0;
}

static bool was_given_back(const struct run *run, const struct told *pass) {
    for (size_t i = 0; i < run->told_count; i++)
        if (is(&run->told[i], "gone") && strcmp(run->told[i].user, pass->user) == 0 &&
            strcmp(run->told[i].event, pass->event) == 0)
            return true;
    return false;
}

/* What is wrong with the view of an image cut off at `bytes` of the trace; NULL: nothing. */
static const char *compare(const struct run *run, const struct view *view, uint64_t bytes) {
    for (size_t i = 0; i < run->told_count; i++) {
        const struct told *told = &run->told[i];
        if (told->bytes > bytes || is(told, "gone")) continue;
        struct event *event = view_find(view, slice_from(told->event));
        if (event == NULL) return "an event that was promised is not there";
        if (!is(told, "pass")) continue;
        struct coupon coupon;
        enum holding holding = judge_lookup(event->judge, slice_from(told->user), &coupon);
        if (holding == HOLDING_COUPON && coupon.serial == told->serial) continue;
        if (!was_given_back(run, told)) return "somebody who was told PASS has not got it";
    }
    return NULL;
}

/* ---- One image ---- */

struct opening {
    struct run *run;
    struct view *view;
    bool is_first; /* of the whole run: learns its records instead of comparing them */
    const char *wrong;
    uint64_t records;
};

static int on_record(void *ctx, const struct record *record, struct slice encoded) {
    struct opening *opening = ctx;
    struct run *run = opening->run;
    if (opening->is_first) {
        run->crcs = must(realloc(run->crcs, (record->seq + 1) * sizeof *run->crcs));
        for (; run->crcs_count <= record->seq; run->crcs_count++) run->crcs[run->crcs_count] = 0;
        run->crcs[record->seq] = record_crc(encoded.p);
    } else if (record->seq >= run->crcs_count || run->crcs[record->seq] != record_crc(encoded.p)) {
        opening->wrong = "a record that was never written";
    }
    opening->records++;
    enum verdict verdict;
    ASSERT(view_apply(opening->view, record, &verdict) == 0);
    if (record->type == RECORD_WIN && verdict != VERDICT_VALID)
        opening->wrong = "a win that the judge refuses: a serial or a user twice";
    return 0;
}

static int ignore_record(void *ctx, const struct record *record, struct slice encoded) {
    (void)record, (void)encoded;
    ++*(uint64_t *)ctx;
    return 0;
}

static struct journal_options options_of(struct run *run, struct disk_sim *sim) {
    return (struct journal_options){.folder = "data",
                                    .segment_bytes = SEGMENT_BYTES,
                                    .disk = disk_sim_disk(sim),
                                    .random = &run->random.source};
}

/* Writes one record behind what was recovered, loses power once more, and counts. */
static const char *go_on(struct run *run, struct disk_sim *sim, struct journal *journal,
                         uint64_t records) {
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    const struct record pause = {.type = RECORD_PAUSE, .event_id = SLICE("behind")};
    size_t n = record_encode(bytes, &pause);
    bool has_room = journal_room_bytes(journal) >= n;
    int code = has_room ? journal_append(journal, bytes, n, 1) : 0;
    journal_close(journal);
    disk_sim_crash(sim);
    if (code != 0) return "cannot be written behind";
    uint64_t found = 0;
    struct err err;
    const struct journal_options options = options_of(run, sim);
    if (journal_open(&journal, &options, ignore_record, &found, &err) != 0)
        return "does not open again";
    journal_close(journal);
    return found == records + (has_room ? 1 : 0) ? NULL : "what was written behind it is not there";
}

static bool has_key(const struct run *run, const struct disk_image *image) {
    for (size_t i = 0; i < image->count; i++) {
        const struct disk_file *file = &image->files[i];
        if (strcmp(file->name, "code-1.key") == 0)
            return slice_eq(file->bytes, slice_of(run->key, run->key_bytes));
    }
    return false;
}

static struct disk_sim *disk_of(struct run *run, const struct disk_image *image) {
    struct disk_sim *sim = disk_sim_new(random_sim_below(&run->random, UINT32_MAX), 0);
    for (size_t i = 0; i < image->count; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "data/%s", image->files[i].name);
        disk_sim_put(sim, path, image->files[i].bytes);
    }
    return sim;
}

/* What is wrong with the image, or NULL. */
static const char *check(struct run *run, const struct disk_image *image, bool is_first) {
    static const struct hash_key key = {{1, 2}};
    struct disk_sim *sim = disk_of(run, image);
    struct opening opening = {.run = run, .view = must(view_new(&key)), .is_first = is_first};
    const struct journal_options options = options_of(run, sim);
    struct journal *journal;
    struct err err;
    static char text[sizeof err.text + 16];
    const char *wrong = NULL;
    if (journal_open(&journal, &options, on_record, &opening, &err) != 0) {
        snprintf(text, sizeof text, "is refused: %s", err.text);
        wrong = text;
    } else {
        struct journal_summary summary;
        journal_get_summary(journal, &summary);
        run->torn += summary.torn_bytes > 0;
        run->opened_empty += summary.segments == 0;
    }
    if (wrong == NULL) wrong = opening.wrong;
    if (wrong == NULL && !is_first) wrong = compare(run, opening.view, image->trace_bytes);
    if (wrong == NULL && !is_first && opening.records > 0 && !has_key(run, image))
        wrong = "the key of the coupon codes is not there";
    if (wrong == NULL && run->checked % GOES_ON_EVERY == 0 && !is_first)
        wrong = go_on(run, sim, journal, opening.records);
    else
        journal_close(journal);
    view_free(opening.view);
    disk_sim_free(sim);
    return wrong;
}

static int check_image(void *ctx, const struct disk_image *image) {
    struct run *run = ctx;
    const char *wrong = check(run, image, false);
    run->checked++;
    if (wrong == NULL) return 0;
    printf("image %llu of %llu, cut at %llu bytes of the trace: %s\n",
           (unsigned long long)image->number, (unsigned long long)run->all,
           (unsigned long long)image->trace_bytes, wrong);
    return 1;
}

/* ---- Which images ---- */

static bool is_of_journal(const char *name) {
    return strncmp(name, "journal", 7) == 0 || strstr(name, ".key") != NULL;
}

static bool is_of_server(const char *name) {
    return strstr(name, "-shm") == NULL && strcmp(name, "lock") != 0;
}

/* Spread evenly, each somewhere in its part. */
static bool wants_some(void *ctx, uint64_t number) {
    struct run *run = ctx;
    (void)number;
    return run->images >= run->all || random_sim_below(&run->random, run->all) < run->images;
}

static bool wants_last(void *ctx, uint64_t number) {
    const struct run *run = ctx;
    return number == run->all - 1;
}

static bool wants_one(void *ctx, uint64_t number) {
    const struct run *run = ctx;
    return number == run->wanted;
}

/* The last image of all has everything. */
static int learn(void *ctx, const struct disk_image *image) {
    struct run *run = ctx;
    for (size_t i = 0; i < image->count; i++) {
        if (strcmp(image->files[i].name, "code-1.key") != 0) continue;
        run->key_bytes = image->files[i].bytes.n;
        run->key = must(malloc(run->key_bytes + 1));
        memcpy(run->key, image->files[i].bytes.p, run->key_bytes);
    }
    const char *wrong = check(run, image, true);
    if (wrong != NULL) printf("the end of the run: %s\n", wrong);
    return wrong == NULL && run->key != NULL ? 0 : 1;
}

static int write_image(void *ctx, const struct disk_image *image) {
    const struct run *run = ctx;
    for (size_t i = 0; i < image->count; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", run->folder, image->files[i].name);
        FILE *file = fopen(path, "wb");
        if (file == NULL) give_up("cannot write", path);
        size_t n = fwrite(image->files[i].bytes.p, 1, image->files[i].bytes.n, file);
        if (fclose(file) != 0 || n != image->files[i].bytes.n) give_up("cannot write", path);
    }
    printf("%llu\n", (unsigned long long)image->trace_bytes);
    return 0;
}

static int recover_images(struct run *run, struct disk_trace *trace) {
    uint64_t count;
    int code = disk_trace_images(trace, NULL, NULL, NULL, &run->all);
    ASSERT(code == 0);
    code = disk_trace_images(trace, wants_last, learn, run, &count);
    if (code == 0) code = disk_trace_images(trace, wants_some, check_image, run, &count);
    printf("%llu of %llu images recovered, %llu with a torn tail, %llu without a journal; %zu "
           "promises\n",
           (unsigned long long)run->checked, (unsigned long long)run->all,
           (unsigned long long)run->torn, (unsigned long long)run->opened_empty, run->told_count);
    return code;
}

int main(int argc, char **argv) {
    struct run run = {.images = 5000};
    uint64_t seed = 1;
    bool only_counts = false;
    if (argc < 3)
        give_up("usage: power_cut TRACE TOLD [--images N] [--seed S] | TRACE - --count |",
                "TRACE - --write NUMBER FOLDER");
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--images") == 0 && i + 1 < argc)
            run.images = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--count") == 0)
            only_counts = true;
        else if (strcmp(argv[i], "--write") == 0 && i + 2 < argc)
            run.wanted = strtoull(argv[++i], NULL, 10), run.folder = argv[++i];
        else
            give_up("does not know", argv[i]);
    }
    logger_set_level(LOG_ERROR + 1); /* torn tails are what is wanted */
    random_sim_init(&run.random, seed);
    struct slice bytes = read_file(argv[1]);
    bool is_whole = only_counts || run.folder != NULL;
    struct disk_trace *trace = disk_trace_new(bytes, is_whole ? is_of_server : is_of_journal);
    if (trace == NULL) give_up("is no trace:", argv[1]);
    int code = 0;
    if (only_counts) {
        code = disk_trace_images(trace, NULL, NULL, NULL, &run.all);
        printf("%llu\n", (unsigned long long)run.all);
    } else if (run.folder != NULL) {
        code = disk_trace_images(trace, wants_one, write_image, &run, &run.all);
    } else {
        read_told(&run, argv[2]);
        code = recover_images(&run, trace);
    }
    disk_trace_free(trace);
    free((char *)(uintptr_t)bytes.p);
    free(run.told);
    free(run.crcs);
    free(run.key);
    return code;
}
