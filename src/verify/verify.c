/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/random.h"
#include "lib/token.h"
#include "verify/audits.h"
#include "verify/history_check.h"
#include "verify/reconcile.h"
#include "verify/verify_views.h"

enum { EXIT_GOOD = 0, EXIT_FINDING = 1, EXIT_USAGE = 2, REPORT_BYTES_MAX = 16 << 20 };

struct verify {
    const struct options *options;
    const char *paths[HISTORY_FILES_MAX];
    size_t paths_count;
    struct audits audits;

    struct reconcile reconcile;
    struct verify_views views;
    char token[TOKEN_BYTES_MAX];

    /* Of the last pass. */
    struct truth truth;
    struct history history;
    struct checks checks;
    struct reconcile_seen seen;
    unsigned passes;
};

static int complain(const char *text, int status) {
    fprintf(stderr, "coupond verify: %s\n", text);
    return status;
}

/* ---- What is wanted ---- */

/* Files behind the options are more of the kind that was named. */
static int take_paths(struct verify *verify, int words, char **word, struct err *err) {
    const char *first = options_get(verify->options, "history")->text;
    bool has_audit = options_get(verify->options, "audit")->text != NULL;
    if (words > 0 && (first == NULL) != has_audit)
        return err_set(err, -EINVAL, "%s: more files follow one of --history FILE and --audit FILE",
                       word[0]);
    if (first == NULL) return 0;
    if (words >= HISTORY_FILES_MAX)
        return err_set(err, -EINVAL, "at most %d histories", HISTORY_FILES_MAX);
    verify->paths[verify->paths_count++] = first;
    for (int i = 0; i < words; i++) verify->paths[verify->paths_count++] = word[i];
    return 0;
}

/* Opened before the log is read: what was told by now is in it then. */
static int take_audits(struct verify *verify, bool is_cluster, int words, char **word,
                       struct err *err) {
    const char *first = options_get(verify->options, "audit")->text;
    if (first == NULL) return 0;
    if (!is_cluster) return err_set(err, -EINVAL, "--audit is for --mode cluster");
    int code = audits_open(&verify->audits, first, err);
    if (verify->paths_count != 0) return code;
    for (int i = 0; code == 0 && i < words; i++) code = audits_open(&verify->audits, word[i], err);
    return code;
}

/* The views are asked for when a server is named. */
static int take_admin(struct verify *verify, struct err *err) {
    const struct option_value *admin = options_get(verify->options, "admin");
    if (admin->source == OPTION_DEFAULT) return 0;
    const struct token_source source = {.file = options_get(verify->options, "token-file")->text,
                                        .text = options_get(verify->options, "admin-token")->text,
                                        .folder = options_get(verify->options, "data-dir")->text,
                                        .name = "admin.token"};
    int code = http_url_parse(&verify->views.url, admin->text, err);
    if (code == 0) code = token_find(&source, verify->token, err);
    verify->views.token = verify->token;
    verify->views.timeout_ms = (int)options_get(verify->options, "timeout")->number;
    verify->reconcile.views =
        (struct view_source){.ctx = &verify->views, .points = verify_views_points};
    return code;
}

/* ---- Passes ---- */

static void begin_pass(struct verify *verify) {
    truth_deinit(&verify->truth);
    truth_init(&verify->truth, &verify->reconcile.hash_key);
    verify->passes++;
}

/* Reads everything twice when the first time shows a difference, and keeps what both show. */
static int run_passes(struct verify *verify, struct err *err) {
    int64_t wait_ms = options_get(verify->options, "recheck-after")->number;
    struct checks first = {0};
    begin_pass(verify);
    int code = reconcile_pass(&verify->reconcile, &verify->truth, &first, &verify->seen, err);
    if (code == 0 && checks_sum(&first) != 0 && wait_ms != 0) {
        nanosleep(&(struct timespec){.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000},
                  NULL);
        begin_pass(verify);
        code =
            reconcile_pass(&verify->reconcile, &verify->truth, &verify->checks, &verify->seen, err);
        checks_keep_common(&verify->checks, &first);
        checks_deinit(&first);
    } else {
        verify->checks = first;
    }
    return code;
}

/* What only cluster mode has is left out otherwise. */
static void check_topic(struct verify *verify, const struct verify_sources *sources) {
    struct err err = {0};
    for (unsigned check = 0; check < CHECKS_COUNT && !sources->is_cluster; check++)
        if (check_is_of_verify((enum check)check)) verify->checks.absent |= UINT32_C(1) << check;
    int code = sources->check_topic == NULL ? 0 : sources->check_topic(sources->ctx, &err);
    if (code == -EINVAL)
        checks_add(&verify->checks, CHECK_R7, check_item("topic", slice_of("", 0), 0), "%s",
                   err.text);
    else if (code != 0)
        checks_skip(&verify->checks, CHECK_R7); /* as for who may not ask */
}

static int check_audits(struct verify *verify, struct err *err) {
    if (verify->audits.count == 0) checks_skip(&verify->checks, CHECK_R8);
    return audits_check(&verify->audits, &verify->truth, verify->reconcile.log.name,
                        &verify->checks, err);
}

static int check_histories(struct verify *verify, struct err *err) {
    verify->history.texts = &verify->truth.texts;
    for (size_t i = 0; i < verify->paths_count; i++) {
        int code = history_read(&verify->history, verify->paths[i], err);
        if (code != 0) return code;
    }
    if (verify->paths_count == 0) return 0;
    const struct history_check_options options = {
        .is_shared = options_get(verify->options, "shared")->number != 0,
        .has_copy = verify->seen.has_copy,
        .copy_seq = verify->seen.copy_seq};
    return history_check(&verify->history, &verify->truth, &options, &verify->checks, err);
}

/* ---- The report ---- */

static void report_table(const struct verify *verify, struct buf *out) {
    const struct reconcile_seen *seen = &verify->seen;
    const struct reconcile *reconcile = &verify->reconcile;
    buf_printf(out,
               "log       %s: %" PRIu64 " records to seq %" PRIu64 ", %" PRIu64 " events, %" PRIu64
               " coupons issued\n",
               reconcile->log.name, seen->records, seen->last_seq, seen->events, seen->coupons);
    if (seen->has_copy)
        buf_printf(out, "copy      %s: at seq %" PRIu64 "\n", reconcile->copy.name, seen->copy_seq);
    else
        buf_printf(out, "copy      %s\n", "not compared");
    if (reconcile->views.points != NULL)
        buf_printf(out, "views     %" PRIu32 "\n", seen->views);
    else
        buf_printf(out, "views     not asked for (--admin URL)\n");
    if (reconcile->reserve.read != NULL)
        buf_printf(out, "redis     %s: %" PRIu32 " events, %" PRIu64 " entries\n",
                   reconcile->reserve.name, seen->reserved_events, seen->reservations);
    for (size_t i = 0; i < verify->history.files_count; i++) {
        const struct history_file *file = &verify->history.files[i];
        uint64_t ops = 0;
        for (size_t k = 0; k < verify->history.count; k++) ops += verify->history.ops[k].file == i;
        buf_printf(out, "history   %s: %" PRIu64 " requests%s\n", file->path, ops,
                   file->has_end ? "" : ", cut off");
    }
    for (size_t i = 0; i < verify->audits.count; i++)
        buf_printf(out, "audit     %s: %" PRIu64 " coupons told\n", verify->audits.all[i].path,
                   verify->audits.all[i].lines);
    buf_add_text(out, "\n");
    checks_table(&verify->checks, CHECK_R1, CHECK_R11, out);
    if (verify->paths_count != 0) checks_table(&verify->checks, CHECK_C1, CHECK_C10, out);
    uint64_t findings = checks_sum(&verify->checks);
    if (findings == 0)
        buf_add_text(out, "\nverified: everything agrees\n");
    else
        buf_printf(out, "\n%" PRIu64 " findings, in %u passes\n", findings, verify->passes);
}

static void report_json(const struct verify *verify, struct buf *out) {
    const struct reconcile_seen *seen = &verify->seen;
    buf_printf(out, "{\"verified\":%s,\"passes\":%u,\n\"log\":{\"folder\":",
               checks_sum(&verify->checks) == 0 ? "true" : "false", verify->passes);
    buf_add_json_string(out, slice_str(verify->reconcile.log.name));
    buf_printf(out,
               ",\"records\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"events\":%" PRIu64
               ",\"coupons\":%" PRIu64 "},\n\"copy\":",
               seen->records, seen->last_seq, seen->events, seen->coupons);
    if (seen->has_copy) {
        buf_add_text(out, "{\"file\":");
        buf_add_json_string(out, slice_str(verify->reconcile.copy.name));
        buf_printf(out, ",\"applied_seq\":%" PRIu64 "}", seen->copy_seq);
    } else {
        buf_add_text(out, "null");
    }
    if (verify->reconcile.reserve.read != NULL) {
        buf_add_text(out, ",\n\"redis\":{\"nodes\":");
        buf_add_json_string(out, slice_str(verify->reconcile.reserve.name));
        buf_printf(out, ",\"events\":%" PRIu32 ",\"entries\":%" PRIu64 "}", seen->reserved_events,
                   seen->reservations);
    }
    buf_printf(out, ",\n\"views\":%" PRIu32 ",\n\"histories\":[", seen->views);
    for (size_t i = 0; i < verify->history.files_count; i++) {
        buf_add_text(out, i == 0 ? "" : ",");
        buf_add_json_string(out, slice_str(verify->history.files[i].path));
    }
    buf_printf(out, "],\n\"requests\":%zu,\n\"audits\":[", verify->history.count);
    for (size_t i = 0; i < verify->audits.count; i++) {
        buf_add_text(out, i == 0 ? "{\"file\":" : ",{\"file\":");
        buf_add_json_string(out, slice_str(verify->audits.all[i].path));
        buf_printf(out, ",\"told\":%" PRIu64 "}", verify->audits.all[i].lines);
    }
    buf_add_text(out, "],\n\"not_checked\":");
    checks_json_skipped(&verify->checks, out);
    buf_add_text(out, ",\n\"findings\":");
    checks_json(&verify->checks, out);
    buf_add_text(out, "}\n");
}

static int report(const struct verify *verify) {
    struct buf out;
    buf_init(&out, REPORT_BYTES_MAX);
    bool is_json = options_get(verify->options, "json")->number != 0;
    (is_json ? report_json : report_table)(verify, &out);
    bool is_told = !out.failed && fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    buf_deinit(&out);
    if (!is_told) return complain("cannot write the report", EXIT_FINDING);
    return checks_sum(&verify->checks) == 0 ? EXIT_GOOD : EXIT_FINDING;
}

/* ---- Repair ---- */

/* What Redis hands out is repaired; what only a person can judge is not. */
static bool is_repairable(const struct check_finding *finding, uint32_t event) {
    return finding->event == event &&
           (finding->check == CHECK_R2 || finding->check == CHECK_R4 || finding->check == CHECK_R5);
}

static bool needs_repair(const struct checks *checks, uint32_t event) {
    for (size_t i = 0; i < checks->count; i++)
        if (is_repairable(&checks->all[i], event)) return true;
    return false;
}

static void repair(const struct verify *verify, const struct verify_sources *sources) {
    const struct truth *truth = &verify->truth;
    FILE *to = options_get(verify->options, "json")->number != 0 ? stderr : stdout;
    unsigned count = 0;
    for (uint32_t i = 0; i < truth->events_count; i++) {
        char said[VERIFY_SAID_BYTES] = "";
        const struct slice id = texts_at(&truth->texts, truth->events[i].id);
        if (!needs_repair(&verify->checks, i + 1)) continue;
        sources->repair(sources->ctx, id, said);
        fprintf(to, "repair    %.*s: %s\n", (int)id.n, id.p, said);
        count++;
    }
    if (count == 0) fprintf(to, "repair    nothing to do\n");
}

static bool wants_repair(const struct verify *verify) {
    return options_get(verify->options, "repair")->number != 0;
}

/* Nothing is done about what only one look has shown. */
static int check_repair(const struct verify *verify, const struct verify_sources *sources,
                        struct err *err) {
    if (!wants_repair(verify)) return 0;
    if (sources->repair == NULL)
        return err_set(err, -EINVAL, "--repair is for --mode cluster, with --redis HOST:PORT,…");
    if (options_get(verify->options, "recheck-after")->number == 0)
        return err_set(err, -EINVAL, "--repair wants a second look: --recheck-after must not be 0");
    return 0;
}

int verify_command(const struct options *options, int words, char **word,
                   const struct verify_sources *sources) {
    struct verify verify = {.options = options};
    struct err err = {0};
    verify.reconcile.log = sources->log;
    verify.reconcile.copy = sources->copy;
    verify.reconcile.reserve = sources->reserve;
    random_fill(&random_system, &verify.reconcile.hash_key, sizeof verify.reconcile.hash_key);
    int code = check_repair(&verify, sources, &err);
    if (code == 0) code = take_paths(&verify, words, word, &err);
    if (code != 0) return complain(err.text, EXIT_USAGE);
    code = take_audits(&verify, sources->is_cluster, words, word, &err);
    if (code == -EINVAL) return complain(err.text, EXIT_USAGE);
    if (code == 0) code = take_admin(&verify, &err);
    if (code == 0) code = run_passes(&verify, &err);
    if (code == 0) check_topic(&verify, sources);
    if (code == 0) code = check_audits(&verify, &err);
    if (code == 0) code = check_histories(&verify, &err);
    int status = code == 0 ? report(&verify) : complain(err.text, EXIT_FINDING);
    if (code == 0 && wants_repair(&verify)) repair(&verify, sources);
    explicit_bzero(verify.token, sizeof verify.token);
    audits_deinit(&verify.audits);
    history_deinit(&verify.history);
    checks_deinit(&verify.checks);
    truth_deinit(&verify.truth);
    return status;
}
