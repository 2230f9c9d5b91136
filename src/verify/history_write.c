/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/history_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verify/history.h"
#include "verify/load_told.h"

/* ---- The file ---- */

static void write_all(struct history_out *out, const char *p, size_t bytes) {
    while (bytes > 0 && out->failed == 0) {
        ssize_t n = write(out->fd, p, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            out->failed = -errno;
            return;
        }
        p += n;
        bytes -= (size_t)n;
    }
}

/* Which boot of this machine CLOCK_MONOTONIC belongs to. */
static void read_boot(char boot[HISTORY_BOOT_BYTES + 1]) {
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, boot, HISTORY_BOOT_BYTES);
    if (fd >= 0) close(fd);
    boot[n < 0 ? 0 : n] = '\0';
}

int history_out_open(struct history_out *out, const char *path, const char *event,
                     const char *prefix, const struct clock *clock, struct err *err) {
    *out = (struct history_out){.path = path, .clock = clock};
    out->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out->fd < 0) {
        int code = -errno;
        return err_set(err, code, "cannot make the history %s: %s", path, strerror(-code));
    }
    char boot[HISTORY_BOOT_BYTES + 1], line[HISTORY_LINE_BYTES_MAX];
    read_boot(boot);
    int n = snprintf(line, sizeof line,
                     "{\"coupond_history\":%d,\"event\":\"%s\",\"prefix\":\"%s\",\"boot\":\"%s\","
                     "\"ns\":%" PRIu64 ",\"ms\":%" PRId64 "}\n",
                     HISTORY_VERSION, event, prefix, boot, clock_monotonic_ns(clock),
                     clock_wall_ms(clock));
    ASSERT(n > 0 && (size_t)n < sizeof line);
    pthread_mutex_init(&out->mutex, NULL);
    write_all(out, line, (size_t)n);
    return 0;
}

int history_out_close(struct history_out *out, struct err *err) {
    char line[HISTORY_LINE_BYTES_MAX];
    int n =
        snprintf(line, sizeof line, "{\"end\":%" PRIu64 ",\"ns\":%" PRIu64 ",\"ms\":%" PRId64 "}\n",
                 out->ops, clock_monotonic_ns(out->clock), clock_wall_ms(out->clock));
    write_all(out, line, (size_t)n);
    if (close(out->fd) != 0 && out->failed == 0) out->failed = -errno;
    pthread_mutex_destroy(&out->mutex);
    if (out->failed == 0) return 0;
    return err_set(err, out->failed, "cannot write the history %s: %s", out->path,
                   strerror(-out->failed));
}

/* ---- A pen ---- */

int history_pen_init(struct history_pen *pen, struct history_out *out) {
    *pen = (struct history_pen){.out = out, .bytes = malloc(HISTORY_PEN_BYTES)};
    return pen->bytes != NULL ? 0 : -ENOMEM;
}

static void hand_over(struct history_pen *pen) {
    pthread_mutex_lock(&pen->out->mutex);
    write_all(pen->out, pen->bytes, pen->n);
    pen->out->ops += pen->ops;
    pthread_mutex_unlock(&pen->out->mutex);
    pen->n = 0;
    pen->ops = 0;
}

void history_pen_put_away(struct history_pen *pen) {
    if (pen->bytes == NULL) return;
    hand_over(pen);
    free(pen->bytes);
    pen->bytes = NULL;
}

static char *add_bytes(char *p, const char *bytes, size_t n) {
    memcpy(p, bytes, n);
    return p + n;
}

static char *add_text(char *p, const char *text) {
    return add_bytes(p, text, strlen(text));
}

static char *add_number(char *p, uint64_t number) {
    char digits[20];
    size_t n = sizeof digits;
    do digits[--n] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return add_bytes(p, digits + n, sizeof digits - n);
}

/* The begin of a line, up to when it was sent. */
static char *begin_line(struct history_pen *pen, struct slice user_id, bool is_query,
                        uint64_t sent_ns) {
    if (pen->n + HISTORY_LINE_BYTES_MAX > HISTORY_PEN_BYTES) hand_over(pen);
    char *p = add_text(pen->bytes + pen->n, "{\"u\":\"");
    p = add_bytes(p, user_id.p, user_id.n);
    p = add_text(p, is_query ? "\",\"k\":\"q\",\"i\":" : "\",\"k\":\"c\",\"i\":");
    return add_number(p, sent_ns);
}

static void end_line(struct history_pen *pen, char *p) {
    p = add_text(p, "}\n");
    pen->n = (size_t)(p - pen->bytes);
    pen->ops++;
    ASSERT(pen->n <= HISTORY_PEN_BYTES);
}

void history_pen_answered(struct history_pen *pen, struct slice user_id, bool is_query,
                          uint64_t sent_ns, uint64_t answered_ns, unsigned told,
                          const struct told_body *body) {
    if (pen->bytes == NULL) return;
    char *p = begin_line(pen, user_id, is_query, sent_ns);
    p = add_number(add_text(p, ",\"r\":"), answered_ns);
    p = add_text(add_text(p, ",\"a\":\""), told_name((enum told)told));
    *p++ = '"';
    if (told == TOLD_ISSUED || told == TOLD_ALREADY_ISSUED) {
        p = add_number(add_text(p, ",\"s\":"), (uint64_t)body->serial);
        char *code = add_text(p, ",\"c\":\"");
        p = add_text(code, body->coupon_id);
        for (; code < p; code++)
            if (*code == '"' || *code == '\\') *code = '?'; /* no code of ours has them */
        p = add_number(add_text(p, "\",\"t\":"), (uint64_t)body->issued_ms);
    }
    end_line(pen, p);
}

void history_pen_lost(struct history_pen *pen, struct slice user_id, bool is_query,
                      uint64_t sent_ns) {
    if (pen->bytes == NULL) return;
    char *p = begin_line(pen, user_id, is_query, sent_ns);
    end_line(pen, add_text(p, ",\"a\":\"lost\""));
}
