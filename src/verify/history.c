/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *history_told_name(unsigned told) {
    return told == HISTORY_LOST ? "lost" : told_name((enum told)told);
}

void history_deinit(struct history *history) {
    free(history->ops);
    *history = (struct history){.texts = history->texts};
}

/* ---- A line ---- */

/* What is left of a line; `is_bad` once something was not as it has to be. */
struct line {
    const char *p, *end;
    bool is_bad;
};

static bool has(struct line *line, const char *text) {
    size_t n = strlen(text);
    if ((size_t)(line->end - line->p) < n || memcmp(line->p, text, n) != 0) return false;
    line->p += n;
    return true;
}

static void expect(struct line *line, const char *text) {
    if (!has(line, text)) line->is_bad = true;
}

static int64_t number(struct line *line) {
    int64_t value = 0;
    const char *begin = line->p;
    for (; line->p < line->end && *line->p >= '0' && *line->p <= '9'; line->p++) {
        if (value > (INT64_MAX - 9) / 10) line->is_bad = true;
        if (line->is_bad) return 0;
        value = value * 10 + (*line->p - '0');
    }
    if (line->p == begin) line->is_bad = true;
    return value;
}

/* Up to the next quote, which is passed over. No text of a history needs an escape. */
static struct slice text(struct line *line) {
    const char *begin = line->p;
    while (line->p < line->end && *line->p != '"' && *line->p != '\\' && *line->p > ' ') line->p++;
    struct slice found = slice_of(begin, (size_t)(line->p - begin));
    expect(line, "\"");
    return found;
}

static bool is_whole(const struct line *line) {
    return !line->is_bad && line->p == line->end;
}

static uint8_t told_of(struct line *line, struct slice name) {
    for (unsigned told = 0; told <= HISTORY_LOST; told++)
        if (slice_eq(name, slice_str(history_told_name(told)))) return (uint8_t)told;
    line->is_bad = true;
    return HISTORY_LOST;
}

static bool read_head(struct history *history, struct history_file *file, struct line *line) {
    expect(line, "{\"coupond_history\":");
    if (number(line) != HISTORY_VERSION) line->is_bad = true;
    expect(line, ",\"event\":\"");
    struct slice event = text(line);
    expect(line, ",\"prefix\":\"");
    struct slice prefix = text(line);
    expect(line, ",\"boot\":\"");
    struct slice boot = text(line);
    expect(line, ",\"ns\":");
    file->first_ns = number(line);
    expect(line, ",\"ms\":");
    file->first_ms = number(line);
    expect(line, "}");
    if (!is_whole(line) || event.n == 0 || boot.n > HISTORY_BOOT_BYTES) return false;
    memcpy(file->boot, boot.p, boot.n);
    file->event = texts_number(history->texts, event);
    file->prefix = texts_at(history->texts, texts_number(history->texts, prefix));
    return true;
}

static bool read_coupon(struct history *history, struct history_op *op, struct line *line) {
    expect(line, ",\"s\":");
    int64_t serial = number(line);
    if (serial < 1 || serial > UINT32_MAX) return false;
    op->serial = (uint32_t)serial;
    expect(line, ",\"c\":\"");
    op->coupon = texts_number(history->texts, text(line));
    expect(line, ",\"t\":");
    op->issued_ms = number(line);
    return op->coupon != 0;
}

static bool read_op(struct history *history, struct history_op *op, struct line *line) {
    expect(line, "{\"u\":\"");
    op->user = texts_number(history->texts, text(line));
    op->is_query = has(line, ",\"k\":\"q\",\"i\":");
    if (!op->is_query) expect(line, ",\"k\":\"c\",\"i\":");
    op->invoke_ns = number(line);
    bool is_answered = has(line, ",\"r\":");
    op->return_ns = is_answered ? number(line) : HISTORY_NEVER;
    expect(line, ",\"a\":\"");
    op->told = told_of(line, text(line));
    if (history_is_pass(op) && !read_coupon(history, op, line)) return false;
    expect(line, "}");
    return is_whole(line) && op->user != 0 && is_answered == (op->told != HISTORY_LOST) &&
           op->return_ns >= op->invoke_ns;
}

static bool read_end(struct history_file *file, uint64_t ops, struct line *line) {
    expect(line, "{\"end\":");
    if (number(line) != (int64_t)ops) line->is_bad = true;
    expect(line, ",\"ns\":");
    (void)number(line);
    expect(line, ",\"ms\":");
    file->last_ms = number(line);
    expect(line, "}");
    file->has_end = true;
    return is_whole(line);
}

/* ---- A file ---- */

static struct history_op *place(struct history *history) {
    if (history->count == history->capacity) {
        size_t capacity = history->capacity == 0 ? 4096 : history->capacity * 2;
        struct history_op *ops = reallocarray(history->ops, capacity, sizeof *ops);
        if (ops == NULL) return NULL;
        history->ops = ops;
        history->capacity = capacity;
    }
    struct history_op *op = &history->ops[history->count];
    *op = (struct history_op){.issued_ms = -1};
    return op;
}

static int bad_line(const char *path, uint64_t number_of_line, struct line line, const char *begin,
                    struct err *err) {
    int bytes = (int)size_min((size_t)(line.end - begin), 120);
    return err_set(err, -EINVAL, "%s, line %" PRIu64 ": is no line of a history: %.*s", path,
                   number_of_line, bytes, begin);
}

/* One line behind the first. 0, or a negative errno. */
static int take_line(struct history *history, struct history_file *file, struct line line,
                     uint64_t line_number, struct err *err) {
    const char *begin = line.p;
    if (file->has_end)
        return err_set(err, -EINVAL, "%s, line %" PRIu64 ": something behind the end", file->path,
                       line_number);
    if (line.end - line.p > 6 && memcmp(line.p, "{\"end\"", 6) == 0)
        return read_end(file, line_number - 2, &line)
                   ? 0
                   : bad_line(file->path, line_number, line, begin, err);
    struct history_op *op = place(history);
    if (op == NULL) return err_set(err, -ENOMEM, "no memory for %s", file->path);
    if (!read_op(history, op, &line)) return bad_line(file->path, line_number, line, begin, err);
    op->event = file->event;
    op->file = (uint8_t)history->files_count;
    op->line = (uint32_t)line_number;
    history->count++;
    return history->texts->failed ? err_set(err, -ENOMEM, "no memory for %s", file->path) : 0;
}

static int take_lines(struct history *history, struct history_file *file, struct slice bytes,
                      struct err *err) {
    const char *p = bytes.p, *end = bytes.p + bytes.n;
    for (uint64_t line_number = 1; p < end; line_number++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        if (newline == NULL && line_number > 1) return 0; /* the writer was cut off in it */
        struct line line = {.p = p, .end = newline == NULL ? end : newline};
        if (line_number == 1) {
            if (!read_head(history, file, &line))
                return err_set(err, -EINVAL, "%s: is no history of version %d", file->path,
                               HISTORY_VERSION);
        } else {
            int code = take_line(history, file, line, line_number, err);
            if (code != 0) return code;
        }
        p = newline == NULL ? end : newline + 1;
    }
    return 0;
}

int history_read_bytes(struct history *history, const char *path, struct slice bytes,
                       struct err *err) {
    if (history->files_count == HISTORY_FILES_MAX)
        return err_set(err, -E2BIG, "%s: more than %d histories", path, HISTORY_FILES_MAX);
    struct history_file *file = &history->files[history->files_count];
    *file = (struct history_file){.path = path, .last_ms = INT64_MAX};
    if (bytes.n == 0) return err_set(err, -EINVAL, "%s: is empty", path);
    int code = take_lines(history, file, bytes, err);
    if (code != 0) return code;
    if (history->files_count > 0 && strcmp(file->boot, history->files[0].boot) != 0)
        return err_set(err, -EINVAL,
                       "%s and %s are of different boots of a machine: their clocks "
                       "cannot be compared",
                       history->files[0].path, path);
    history->files_count++;
    return 0;
}

int history_read(struct history *history, const char *path, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat found = {0};
    int code = fd < 0 || fstat(fd, &found) != 0 ? -errno : 0;
    void *bytes = NULL;
    if (code == 0 && found.st_size > 0) {
        bytes = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) code = -errno;
    }
    if (fd >= 0) close(fd);
    if (code != 0) return err_set(err, code, "cannot read %s: %s", path, strerror(-code));
    code = history_read_bytes(history, path, slice_of(bytes, (size_t)found.st_size), err);
    if (bytes != NULL) munmap(bytes, (size_t)found.st_size);
    return code;
}
