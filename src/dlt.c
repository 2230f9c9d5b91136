/* SPDX-License-Identifier: Apache-2.0 */
#include "dlt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "kafka_settings.h"
#include "lib/clock.h"
#include "lib/random.h"
#include "lib/rfc3339.h"
#include "log/dead_letters.h"
#include "log/record.h"
#include "record/mariadb_rejects.h"

enum { EXIT_USAGE = 2, RAW_BYTES_MAX = 1 << 20, LINE_BYTES = 16 };

struct dlt {
    const struct options *options;
    struct database database;
    struct maria *db;
    uint64_t offset;
    struct slice operator, reason;
    struct err err;

    /* The one that was found; its texts are in `bytes`. */
    bool is_found, is_dead;
    char state[16];
    size_t raw_bytes;
    _Alignas(RECORD_ALIGN) char raw[RAW_BYTES_MAX];
};

static int complain(const char *text, int status) {
    fprintf(stderr, "coupond dlt: %s\n", text);
    return status;
}

/* ---- Showing ---- */

static const char *when(int64_t ms, char out[RFC3339_BYTES + 1]) {
    rfc3339_format(ms < 0 ? 0 : ms, out);
    out[RFC3339_BYTES] = '\0';
    return out;
}

static void list_one(void *ctx, const struct maria_reject *reject) {
    char logged[RFC3339_BYTES + 1];
    unsigned *count = ctx;
    if ((*count)++ == 0)
        printf("%12s  %-8s  %-24s  %-14s  %s\n", "OFFSET", "STATE", "LOGGED", "REASON", "ERROR");
    printf("%12" PRIu64 "  %-8.*s  %-24s  %-14.*s  %.*s\n", reject->offset, (int)reject->state.n,
           reject->state.p, when(reject->logged_ms, logged), (int)reject->reason.n,
           reject->reason.p, (int)reject->error.n, reject->error.p);
}

static int list(struct dlt *dlt) {
    unsigned count = 0;
    bool all = options_get(dlt->options, "all")->number != 0;
    if (maria_rejects_list(dlt->db, all, list_one, &count, &dlt->err) != MARIA_FINE)
        return complain(dlt->err.text, EXIT_FAILURE);
    if (count == 0) printf(all ? "nothing was rejected\n" : "no dead letter waits\n");
    return EXIT_SUCCESS;
}

/* Bytes as numbers and, where they can be printed, as letters. */
static void print_raw(struct slice raw) {
    for (size_t at = 0; at < raw.n; at += LINE_BYTES) {
        size_t n = size_min(LINE_BYTES, raw.n - at);
        printf("  %06zx ", at);
        for (size_t i = 0; i < LINE_BYTES; i++)
            if (i < n)
                printf(" %02x", (unsigned char)raw.p[at + i]);
            else
                printf("   ");
        printf("  ");
        for (size_t i = 0; i < n; i++) {
            char c = raw.p[at + i];
            putchar(c >= ' ' && c <= '~' ? c : '.');
        }
        putchar('\n');
    }
}

static void print_settled(const struct maria_reject *reject) {
    char settled[RFC3339_BYTES + 1];
    if (reject->settled_ms == 0) return;
    printf("settled   %s by %.*s: %.*s\n", when(reject->settled_ms, settled),
           (int)reject->operator.n, reject->operator.p, (int)reject->note.n, reject->note.p);
}

static void show_one(void *ctx, const struct maria_reject *reject) {
    struct dlt *dlt = ctx;
    char logged[RFC3339_BYTES + 1], rejected[RFC3339_BYTES + 1];
    dlt->is_found = true;
    printf("offset    %" PRIu64 "\nstate     %.*s\nreason    %.*s: %.*s\nlogged    %s\n",
           reject->offset, (int)reject->state.n, reject->state.p, (int)reject->reason.n,
           reject->reason.p, (int)reject->error.n, reject->error.p,
           when(reject->logged_ms, logged));
    printf("rejected  %s\n", when(reject->rejected_ms, rejected));
    print_settled(reject);
    printf("bytes     %zu\n", reject->raw.n);
    print_raw(reject->raw);
}

static int missing(const struct dlt *dlt) {
    fprintf(stderr, "coupond dlt: nothing was rejected at offset %" PRIu64 "\n", dlt->offset);
    return EXIT_FAILURE;
}

static int show(struct dlt *dlt) {
    if (maria_reject_find(dlt->db, dlt->offset, show_one, dlt, &dlt->err) != MARIA_FINE)
        return complain(dlt->err.text, EXIT_FAILURE);
    return dlt->is_found ? EXIT_SUCCESS : missing(dlt);
}

/* ---- Settling ---- */

static void keep_one(void *ctx, const struct maria_reject *reject) {
    struct dlt *dlt = ctx;
    dlt->is_found = true;
    snprintf(dlt->state, sizeof dlt->state, "%.*s", (int)reject->state.n, reject->state.p);
    dlt->is_dead = strcmp(dlt->state, "dead") == 0;
    dlt->raw_bytes = reject->raw.n <= sizeof dlt->raw ? reject->raw.n : 0;
    if (dlt->raw_bytes != 0) memcpy(dlt->raw, reject->raw.p, dlt->raw_bytes);
}

/* Negative when there is something to be done; else the exit status. */
static int find_dead(struct dlt *dlt) {
    if (maria_reject_find(dlt->db, dlt->offset, keep_one, dlt, &dlt->err) != MARIA_FINE)
        return complain(dlt->err.text, EXIT_FAILURE);
    if (!dlt->is_found) return missing(dlt);
    if (dlt->is_dead) return -1;
    if (strcmp(dlt->state, "void") == 0)
        return complain("the judge refused this one, which is final: nothing waits", EXIT_FAILURE);
    printf("offset %" PRIu64 " is %s already\n", dlt->offset, dlt->state);
    return EXIT_SUCCESS;
}

static int settle(struct dlt *dlt, const char *state) {
    bool is_done = false;
    if (maria_reject_settle(dlt->db, dlt->offset, state, dlt->operator, dlt->reason,
                            clock_wall_ms(&clock_system), &is_done, &dlt->err) != MARIA_FINE)
        return complain(dlt->err.text, EXIT_FAILURE);
    printf(is_done ? "offset %" PRIu64 " is %s\n"
                   : "offset %" PRIu64 " was settled by somebody else meanwhile (%s wanted)\n",
           dlt->offset, state);
    return EXIT_SUCCESS;
}

static int resolve(struct dlt *dlt) {
    int status = find_dead(dlt);
    return status < 0 ? settle(dlt, "resolved") : status;
}

static int put_into_log(struct dlt *dlt, const struct record *record) {
    struct kafka_settings kafka;
    struct dead_letters *letters = NULL;
    uint64_t nonce;
    random_fill(&random_system, &nonce, sizeof nonce);
    int code = kafka_settings_init(&kafka, dlt->options, &dlt->err);
    if (code == 0) code = dead_letters_open(&letters, &kafka.options, &dlt->err);
    if (code == 0)
        code = dead_letters_replay(letters, record->event_id, slice_of(dlt->raw, dlt->raw_bytes),
                                   nonce, &dlt->err);
    dead_letters_close(letters);
    kafka_settings_deinit(&kafka);
    return code;
}

/* The record goes into the log again, behind all that is there, and everybody judges it there:
 * twice is harmless. Only then is it settled. */
static int replay(struct dlt *dlt) {
    int status = find_dead(dlt);
    if (status >= 0) return status;
    struct record record;
    size_t bytes = 0;
    enum record_status decoded =
        dlt->raw_bytes == 0 ? RECORD_BAD
                            : record_decode(slice_of(dlt->raw, dlt->raw_bytes), &record, &bytes);
    if (decoded != RECORD_OK || bytes != dlt->raw_bytes || record.event_id.n == 0)
        return complain("this program cannot read it as a record of an event either: look at it "
                        "(show), and resolve it",
                        EXIT_FAILURE);
    int code = put_into_log(dlt, &record);
    if (code != 0) return complain(dlt->err.text, code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE);
    return settle(dlt, "replayed");
}

/* ---- The command ---- */

static const struct verb {
    const char *name;
    int (*run)(struct dlt *dlt);
    bool has_offset, writes;
} verbs[] = {{"list", list, false, false},
             {"show", show, true, false},
             {"replay", replay, true, true},
             {"resolve", resolve, true, true}};

static const struct verb *find_verb(int words, char **word) {
    for (size_t i = 0; i < ARRAY_LEN(verbs) && words > 0; i++)
        if (strcmp(word[0], verbs[i].name) == 0 && words == 1 + verbs[i].has_offset)
            return &verbs[i];
    return NULL;
}

static bool parse_offset(const char *text, uint64_t *offset) {
    char *end;
    errno = 0;
    *offset = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && text[0] >= '0' && text[0] <= '9';
}

/* Who, and why. */
static const char *take_words(struct dlt *dlt, const struct verb *verb) {
    const char *operator_name = options_get(dlt->options, "operator")->text;
    const char *reason = options_get(dlt->options, "reason")->text;
    if (operator_name == NULL) operator_name = getenv("USER");
    dlt->operator= slice_str(operator_name == NULL ? "" : operator_name);
    dlt->reason = slice_str(reason == NULL ? "" : reason);
    if (!verb->writes) return NULL;
    if (dlt->operator.n == 0) return "--operator NAME says who does this";
    if (dlt->reason.n == 0) return "--reason TEXT says why";
    if (!record_text_is_valid(dlt->operator, OPERATOR_BYTES_MAX) ||
        !record_text_is_valid(dlt->reason, REASON_BYTES_MAX))
        return "--operator and --reason are UTF-8 of at most 64 and 256 bytes";
    return NULL;
}

int dlt_command(const struct options *options, int words, char **word) {
    static struct dlt dlt;
    const struct verb *verb = find_verb(words, word);
    dlt.options = options;
    if (verb == NULL)
        return complain("say list, show N, replay N or resolve N; see coupond dlt --help",
                        EXIT_USAGE);
    if (verb->has_offset && !parse_offset(word[1], &dlt.offset))
        return complain("N is the offset of a record, as list shows it", EXIT_USAGE);
    const char *problem = take_words(&dlt, verb);
    if (problem != NULL) return complain(problem, EXIT_USAGE);
    int code = database_init(&dlt.database, options, &dlt.err);
    if (code != 0) return complain(dlt.err.text, code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE);
    dlt.database.options.only_reads = !verb->writes;
    dlt.db = maria_new(&dlt.database.options);
    int status = EXIT_FAILURE;
    if (dlt.db == NULL || maria_connect(dlt.db, &dlt.err) != MARIA_FINE)
        complain(dlt.err.text, EXIT_FAILURE);
    else
        status = verb->run(&dlt);
    maria_free(dlt.db);
    database_deinit(&dlt.database);
    return status;
}
