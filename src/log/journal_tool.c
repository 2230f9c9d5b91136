/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal in words, for people and scripts.
 */
#include "log/journal_tool.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/rfc3339.h"
#include "log/journal.h"

enum { EXIT_FINDING = 1, EXIT_USAGE = 2 };
enum { OUTPUT_BYTES = 64 * 1024, LINE_BYTES_MAX = 8 * RECORD_BYTES_MAX };

/* Where the years that RFC 3339 can write end: 10000-01-01. */
#define YEAR_10000_MS INT64_C(253402300800000)

/* ---- A record as JSON ---- */

/* As a number where it has no date. */
static void add_time(struct buf *out, const char *key, int64_t ms) {
    buf_printf(out, ",\"%s\":", key);
    if (ms < 0 || ms >= YEAR_10000_MS) {
        buf_printf(out, "%" PRId64, ms);
        return;
    }
    char text[RFC3339_BYTES];
    rfc3339_format(ms, text);
    buf_add_json_string(out, slice_of(text, sizeof(text)));
}

static void add_times(struct buf *out, int64_t starts_ms, int64_t ends_ms) {
    if (starts_ms == TIME_MS_MIN)
        buf_add_text(out, ",\"starts_at\":null");
    else
        add_time(out, "starts_at", starts_ms);
    if (ends_ms == TIME_MS_MAX)
        buf_add_text(out, ",\"ends_at\":null");
    else
        add_time(out, "ends_at", ends_ms);
}

static void add_number(struct buf *out, const char *key, uint64_t number) {
    buf_printf(out, ",\"%s\":%" PRIu64, key, number);
}

static void add_hex(struct buf *out, const char *key, uint64_t number) {
    buf_printf(out, ",\"%s\":\"%016" PRIx64 "\"", key, number);
}

static void add_string(struct buf *out, const char *key, struct slice text) {
    buf_printf(out, ",\"%s\":", key);
    buf_add_json_string(out, text);
}

static void add_open(struct buf *out, const struct record *record) {
    add_number(out, "stock", record->open.stock);
    add_times(out, record->open.starts_ms, record->open.ends_ms);
    add_hex(out, "key_id", record->open.key_id);
    add_string(out, "code_prefix", record->open.code.prefix);
    add_string(out, "code_alphabet", record->open.code.alphabet);
    add_number(out, "code_length", record->open.code.length);
}

static void add_win(struct buf *out, const struct record *record) {
    add_number(out, "gen", record->win.gen);
    add_number(out, "serial", record->win.serial);
    add_string(out, "user_id", record->win.user_id);
    if (record->win.claim_id.n > 0) add_string(out, "claim_id", record->win.claim_id);
    add_number(out, "reserve_seq", record->win.reserve_seq);
}

/* What only this type has. */
static void add_own_fields(struct buf *out, const struct record *record) {
    switch (record->type) {
    case RECORD_OPEN:
        add_open(out, record);
        break;
    case RECORD_FENCE:
        add_number(out, "gen", record->fence.gen);
        add_hex(out, "nonce", record->fence.nonce);
        break;
    case RECORD_WIN:
        add_win(out, record);
        break;
    case RECORD_RETURN:
        add_number(out, "serial", record->give_back.serial);
        add_string(out, "user_id", record->give_back.user_id);
        break;
    case RECORD_RESTOCK:
        add_number(out, "stock", record->restock.stock);
        break;
    case RECORD_RESCHEDULE:
        add_times(out, record->reschedule.starts_ms, record->reschedule.ends_ms);
        break;
    default:
        break;
    }
}

static void add_record(struct buf *out, const struct record *record) {
    buf_printf(out, "{\"seq\":%" PRIu64 ",\"type\":\"%s\"", record->seq,
               record_type_name(record->type));
    add_time(out, "at", record->ms);
    add_string(out, "event_id", record->event_id);
    add_own_fields(out, record);
    if (record->operator.n> 0) add_string(out, "operator", record->operator);
    if (record->reason.n > 0) add_string(out, "reason", record->reason);
    add_hex(out, "segment", record->segment);
    add_number(out, "batch", record->batch);
    buf_add_text(out, "}\n");
}

/* ---- Reading ---- */

struct dump {
    struct buf out;
    int code; /* of writing: 0 or a negative errno */
};

static int flush(struct dump *dump) {
    while (dump->code == 0 && dump->out.n > 0) {
        ssize_t n = write(STDOUT_FILENO, dump->out.p, dump->out.n);
        if (n >= 0)
            buf_consume(&dump->out, (size_t)n);
        else if (errno != EINTR)
            dump->code = -errno;
    }
    return dump->code;
}

static int dump_record(void *ctx, const struct record *record, struct slice encoded) {
    struct dump *dump = ctx;
    (void)encoded;
    add_record(&dump->out, record);
    ASSERT(dump->out.p == NULL || dump->out.n <= dump->out.max);
    if (dump->out.failed) return dump->code = -ENOMEM;
    return dump->out.n >= OUTPUT_BYTES ? flush(dump) : 0;
}

static int count_record(void *ctx, const struct record *record, struct slice encoded) {
    (void)ctx, (void)record, (void)encoded;
    return 0;
}

static int read_folder(const char *folder,
                       int (*on_record)(void *ctx, const struct record *record,
                                        struct slice encoded),
                       void *ctx, struct journal_summary *summary, struct err *err) {
    const struct journal_options options = {
        .folder = folder, .disk = &disk_system, .random = &random_system, .read_only = true};
    struct journal *journal;
    int code = journal_open(&journal, &options, on_record, ctx, err);
    if (code != 0) return code;
    journal_get_summary(journal, summary);
    journal_close(journal);
    return 0;
}

/* ---- The two commands ---- */

static int check(const char *folder) {
    struct journal_summary summary;
    struct err err;
    if (read_folder(folder, count_record, NULL, &summary, &err) != 0) {
        fprintf(stderr, "coupond: %s\n", err.text);
        return EXIT_FINDING;
    }
    printf("segments    %" PRIu64 "\n", summary.segments);
    printf("records     %" PRIu64 "\n", summary.records);
    printf("bytes       %" PRIu64 "\n", summary.bytes);
    printf("first seq   %" PRIu64 "\n", summary.first_seq);
    printf("last seq    %" PRIu64 "\n", summary.last_seq);
    printf("torn bytes  %" PRIu64 "%s\n", summary.torn_bytes,
           summary.torn_bytes > 0 ? " (never acknowledged; the next start cuts them)" : "");
    if (fflush(stdout) == 0) return 0;
    fprintf(stderr, "coupond: cannot write: %s\n", strerror(errno));
    return EXIT_FINDING;
}

static int dump(const char *folder) {
    struct dump dump = {0};
    struct journal_summary summary;
    struct err err;
    buf_init(&dump.out, OUTPUT_BYTES + LINE_BYTES_MAX);
    int code = read_folder(folder, dump_record, &dump, &summary, &err);
    (void)flush(&dump); /* before damage, what is good */
    buf_deinit(&dump.out);
    if (dump.code == -EPIPE) return 0; /* whoever read has seen enough */
    if (dump.code != 0)
        fprintf(stderr, "coupond: cannot write: %s\n", strerror(-dump.code));
    else if (code != 0)
        fprintf(stderr, "coupond: %s\n", err.text);
    return code != 0 || dump.code != 0 ? EXIT_FINDING : 0;
}

int journal_tool_command(const struct options *options, int words, char **word) {
    (void)options;
    bool is_check = words == 2 && strcmp(word[0], "check") == 0;
    bool is_dump = words == 2 && strcmp(word[0], "dump") == 0;
    if (!is_check && !is_dump) {
        fprintf(stderr, "usage: coupond log check DIR | coupond log dump DIR\n");
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is told by write */
    return is_check ? check(word[1]) : dump(word[1]);
}
