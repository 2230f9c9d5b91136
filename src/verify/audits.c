/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/audits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char head_word[] = "coupond-audit 1 ";

struct reading {
    struct audit_log *file;
    const struct truth *truth;
    struct checks *checks;
    uint64_t line; /* number of it, from 1 */

    audit_told_fn on_told; /* NULL: they are checked */
    void *ctx;
};

int audits_open(struct audits *audits, const char *path, struct err *err) {
    struct stat is;
    if (audits->count == AUDITS_MAX) return err_set(err, -EINVAL, "at most %d audits", AUDITS_MAX);
    struct audit_log *file = &audits->all[audits->count];
    *file = (struct audit_log){.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd < 0)
        return err_set(err, -errno, "--audit: cannot read %s: %s", path, strerror(errno));
    audits->count++;
    if (fstat(file->fd, &is) != 0 || !S_ISREG(is.st_mode))
        return err_set(err, -EINVAL, "--audit: %s is no file", path);
    file->bytes = (uint64_t)is.st_size;
    return 0;
}

void audits_deinit(struct audits *audits) {
    for (size_t i = 0; i < audits->count; i++)
        if (audits->all[i].fd >= 0) close(audits->all[i].fd);
    audits->count = 0;
}

/* ---- Lines ---- */

/* Takes what is before the next space, or all that is left. */
static struct slice take_word(struct slice *line) {
    const char *space = line->n == 0 ? NULL : memchr(line->p, ' ', line->n);
    size_t n = space == NULL ? line->n : (size_t)(space - line->p);
    struct slice word = slice_of(line->p, n);
    size_t taken = space == NULL ? n : n + 1;
    *line = slice_of(line->p + taken, line->n - taken);
    return word;
}

static bool read_number(struct slice word, uint64_t *number) {
    *number = 0;
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] < '0' || word.p[i] > '9') return false;
        *number = *number * 10 + (uint64_t)(word.p[i] - '0');
    }
    return word.n > 0 && word.n <= 19;
}

bool audit_line_read(struct slice line, struct audit_line *told) {
    struct slice seq = take_word(&line);
    told->event_id = take_word(&line);
    struct slice serial = take_word(&line);
    told->user_id = line; /* all that is left, and one word */
    return read_number(seq, &told->seq) && read_number(serial, &told->serial) &&
           told->event_id.n > 0 && line.n > 0 && memchr(line.p, ' ', line.n) == NULL;
}

/* ---- Against the log ---- */

/* The entry that issued to the user, as far as it counts by `seq`: a user has one at most. */
static const struct truth_entry *find_issued(const struct truth *truth,
                                             const struct audit_line *told) {
    uint32_t id = texts_find(&truth->texts, told->event_id);
    uint32_t user = texts_find(&truth->texts, told->user_id);
    const struct truth_event *event = id == TEXT_UNKNOWN ? NULL : truth_event(truth, id);
    if (event == NULL || user == TEXT_UNKNOWN) return NULL;
    uint32_t number = truth_issued_to(truth, event, user);
    if (number == TRUTH_NONE) return NULL;
    const struct truth_entry *issued = &event->entries[number];
    for (uint32_t i = number + 1; !issued->is_held && i < event->count; i++)
        if (event->entries[i].kind == DECISION_RETURNED && event->entries[i].issued == number)
            return event->entries[i].seq <= told->seq ? NULL : issued;
    return issued;
}

static void check_told(struct reading *reading, const struct audit_line *told) {
    const struct truth_entry *issued = find_issued(reading->truth, told);
    char what[100] = "by the log this user held none";
    if (issued != NULL) {
        if (issued->serial == told->serial && issued->seq <= told->seq) return;
        snprintf(what, sizeof what, "by the log this user has serial %" PRIu32 ", of seq %" PRIu64,
                 issued->serial, issued->seq);
    }
    checks_add(
        reading->checks, CHECK_R8, check_item(reading->file->path, told->event_id, reading->line),
        "%s:%" PRIu64 ": told at seq %" PRIu64 ": event %.*s, serial %" PRIu64 ", user %.*s: %s",
        reading->file->path, reading->line, told->seq, (int)size_min(told->event_id.n, 64),
        told->event_id.p, told->serial, (int)size_min(told->user_id.n, 64), told->user_id.p, what);
}

static int hand_over(struct reading *reading, struct slice line, struct err *err) {
    struct audit_line told;
    if (!audit_line_read(line, &told))
        return err_set(err, -EBADMSG, "--audit: %s:%" PRIu64 ": no line of an audit",
                       reading->file->path, reading->line);
    reading->on_told(reading->ctx, &told);
    return 0;
}

static void check_line(struct reading *reading, struct slice line) {
    struct audit_line told;
    if (audit_line_read(line, &told))
        check_told(reading, &told);
    else
        checks_add(reading->checks, CHECK_R8,
                   check_item(reading->file->path, slice_of("", 0), reading->line),
                   "%s:%" PRIu64 ": no line of an audit", reading->file->path, reading->line);
}

/* ---- Files ---- */

static int check_head(const struct reading *reading, struct slice line, const char *log,
                      struct err *err) {
    size_t n = sizeof head_word - 1;
    if (line.n < n || memcmp(line.p, head_word, n) != 0)
        return err_set(err, -EBADMSG, "--audit: %s is no audit of coupond", reading->file->path);
    struct slice of = slice_of(line.p + n, line.n - n);
    if (slice_eq(of, slice_str(log))) return 0;
    return err_set(err, -EBADMSG, "--audit: %s is of the log %.*s, not of %s", reading->file->path,
                   (int)size_min(of.n, 100), of.p, log);
}

static int read_file(struct reading *reading, FILE *from, const char *log, struct err *err) {
    char *text = NULL;
    size_t room = 0;
    uint64_t at = 0;
    int code = 0;
    while (code == 0 && at < reading->file->bytes) {
        ssize_t n = getline(&text, &room, from);
        if (n < 0 && ferror(from))
            code = err_set(err, -EIO, "--audit: cannot read %s", reading->file->path);
        if (n <= 0) break;
        at += (uint64_t)n;
        if (at > reading->file->bytes || text[n - 1] != '\n') break;
        const struct slice line = slice_of(text, (size_t)n - 1);
        if (++reading->line == 1) {
            code = check_head(reading, line, log, err);
            continue;
        }
        reading->file->lines++;
        if (reading->on_told != NULL)
            code = hand_over(reading, line, err);
        else
            check_line(reading, line);
    }
    free(text);
    return code;
}

static int read_all(struct audits *audits, const struct reading *how, const char *log,
                    struct err *err) {
    for (size_t i = 0; i < audits->count; i++) {
        struct audit_log *file = &audits->all[i];
        struct reading reading = *how;
        reading.file = file;
        FILE *from = fdopen(file->fd, "r");
        if (from == NULL) return err_set(err, -ENOMEM, "no memory to read %s", file->path);
        file->fd = -1;
        int code = read_file(&reading, from, log, err);
        fclose(from);
        if (code != 0) return code;
    }
    return 0;
}

int audits_check(struct audits *audits, const struct truth *truth, const char *log,
                 struct checks *checks, struct err *err) {
    return read_all(audits, &(struct reading){.truth = truth, .checks = checks}, log, err);
}

int audits_read(struct audits *audits, const char *log, audit_told_fn on_told, void *ctx,
                struct err *err) {
    return read_all(audits, &(struct reading){.on_told = on_told, .ctx = ctx}, log, err);
}
