/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/resource.h>

enum { VERDICT_BYTES_MAX = 800 };

static double seconds(const struct load_verdict *verdict) {
    return (double)(verdict->tally.end_ns - verdict->tally.start_ns) / 1e9;
}

static double requests_per_second(const struct load_verdict *verdict) {
    double taken = seconds(verdict);
    return taken > 0 ? (double)verdict->tally.answered / taken : 0;
}

/* Of this process, all threads: what the generator itself costs. */
static double cpu_us_per_request(const struct load_verdict *verdict) {
    struct rusage usage;
    if (verdict->tally.answered == 0 || getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    double us = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return us / (double)verdict->tally.answered;
}

bool load_report_is_good(const struct load_verdict *verdict) {
    return findings_count(&verdict->findings) == 0;
}

static void verdict_line(const struct load_verdict *verdict, char out[VERDICT_BYTES_MAX]) {
    uint64_t findings = findings_count(&verdict->findings);
    uint64_t coupons = verdict->users_holding;
    if (findings == 0)
        snprintf(out, VERDICT_BYTES_MAX, "verified: %" PRIu64 " issued to %" PRIu64 " users, %s%s",
                 coupons, coupons, verdict->export_text,
                 verdict->was_interrupted ? " (interrupted)" : "");
    else
        snprintf(out, VERDICT_BYTES_MAX, "NOT VERIFIED: %" PRIu64 " finding%s; %s", findings,
                 findings == 1 ? "" : "s", verdict->export_text);
}

static void print_latency(const struct hdr *hdr, const char *name, FILE *out) {
    if (hdr_count(hdr) == 0) return;
    fprintf(out, "  %-8s", name);
    static const double percents[] = {50, 90, 99, 99.9, 100};
    for (size_t i = 0; i < ARRAY_LEN(percents); i++)
        fprintf(out, " %10.3f", (double)hdr_percentile_ns(hdr, percents[i]) / 1e6);
    fprintf(out, "\n");
}

static void print_users(const struct load_verdict *verdict, FILE *out) {
    const struct load_status *after = &verdict->after;
    fprintf(out,
            "users: %" PRIu64 " asked: %" PRIu64 " told a coupon, %" PRIu64
            " sold out (final), %" PRIu64 " another no, %" PRIu64 " undecided\n",
            verdict->users_asked, verdict->users_holding, verdict->users_sold_out,
            verdict->users_denied, verdict->users_undecided);
    if (verdict->users_held_before > 0)
        fprintf(out, "       %" PRIu64 " of them held their coupon before this run\n",
                verdict->users_held_before);
    fprintf(out, "stock: %" PRId64 ", held before %" PRId64, verdict->before.stock,
            verdict->before.holders);
    if (verdict->is_after_known)
        fprintf(out, ", held now %" PRId64 ", left %" PRId64 " (%s)", after->holders,
                after->remaining, after->state);
    fprintf(out, "\n");
}

static void print_findings(const struct load_verdict *verdict, FILE *out) {
    for (unsigned kind = 0; kind < FINDING_KINDS_COUNT; kind++) {
        uint64_t count = verdict->findings.kinds[kind].count;
        if (count == 0) continue;
        fprintf(out, "%s (%" PRIu64 "): %s\n", finding_name(kind), count, finding_text(kind));
        uint64_t shown = 0;
        for (; shown < EVIDENCE_MAX; shown++) {
            const char *evidence = verdict->findings.kinds[kind].evidence[shown];
            if (evidence == NULL) break;
            fprintf(out, "    %s\n", evidence);
        }
        if (count > EVIDENCE_MAX) fprintf(out, "    … and %" PRIu64 " more\n", count - shown);
    }
}

void load_report_print(const struct load_verdict *verdict, FILE *out) {
    const struct load_tally *tally = &verdict->tally;
    fprintf(out,
            "%" PRIu64 " requests answered in %.3f s: %.0f a second, %.2f us of this "
            "program's CPU each\n\n",
            tally->answered, seconds(verdict), requests_per_second(verdict),
            cpu_us_per_request(verdict));
    for (unsigned i = 0; i < TOLD_COUNT; i++)
        if (verdict->told[i] > 0)
            fprintf(out, "  %-16s %12" PRIu64 "\n", told_name(i), verdict->told[i]);
    if (verdict->queries > 0) fprintf(out, "  %-16s %12" PRIu64 "\n", "queries", verdict->queries);
    fprintf(out, "\n  latency ms      p50        p90        p99      p99.9        max\n");
    for (unsigned i = 0; i < LATENCY_COUNT; i++)
        print_latency(tally->latencies[i], load_latency_name(i), out);
    fprintf(out, "\nerrors:");
    for (unsigned i = 0; i < LOAD_ERROR_COUNT; i++)
        fprintf(out, " %s %" PRIu64, load_error_name(i), tally->errors[i]);
    fprintf(out, "; sent again %" PRIu64 "\n", tally->resent);
    print_users(verdict, out);
    char line[VERDICT_BYTES_MAX];
    verdict_line(verdict, line);
    print_findings(verdict, out);
    fprintf(out, "%s\n", line);
}

static json_t *number(uint64_t value) {
    return json_integer((json_int_t)value);
}

static json_t *latency_json(const struct hdr *hdr) {
    static const struct {
        const char *name;
        double percent;
    } percents[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99_9", 99.9}, {"max", 100}};
    json_t *object = json_object();
    json_object_set_new(object, "count", number(hdr_count(hdr)));
    json_object_set_new(object, "mean", json_real(hdr_mean_ns(hdr) / 1e3));
    for (size_t i = 0; i < ARRAY_LEN(percents); i++)
        json_object_set_new(object, percents[i].name,
                            json_real((double)hdr_percentile_ns(hdr, percents[i].percent) / 1e3));
    return object;
}

static json_t *findings_json(const struct findings *findings) {
    json_t *list = json_array();
    for (unsigned kind = 0; kind < FINDING_KINDS_COUNT; kind++) {
        if (findings->kinds[kind].count == 0) continue;
        json_t *evidence = json_array();
        for (size_t i = 0; i < EVIDENCE_MAX && findings->kinds[kind].evidence[i] != NULL; i++)
            json_array_append_new(evidence, json_string(findings->kinds[kind].evidence[i]));
        json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:o}", "kind", finding_name(kind),
                                              "means", finding_text(kind), "count",
                                              (json_int_t)findings->kinds[kind].count, "evidence",
                                              evidence));
    }
    return list;
}

static json_t *users_json(const struct load_verdict *verdict) {
    json_t *object = json_object();
    json_object_set_new(object, "asked", number(verdict->users_asked));
    json_object_set_new(object, "coupon", number(verdict->users_holding));
    json_object_set_new(object, "sold_out_final", number(verdict->users_sold_out));
    json_object_set_new(object, "other_no", number(verdict->users_denied));
    json_object_set_new(object, "undecided", number(verdict->users_undecided));
    json_object_set_new(object, "held_before", number(verdict->users_held_before));
    return object;
}

static json_t *stock_json(const struct load_verdict *verdict) {
    bool known = verdict->is_after_known;
    json_t *object = json_object();
    json_object_set_new(object, "total", json_integer(verdict->before.stock));
    json_object_set_new(object, "holders_before", json_integer(verdict->before.holders));
    json_object_set_new(object, "holders_after",
                        known ? json_integer(verdict->after.holders) : json_null());
    json_object_set_new(object, "remaining_after",
                        known ? json_integer(verdict->after.remaining) : json_null());
    json_object_set_new(object, "status_after",
                        known ? json_string(verdict->after.state) : json_null());
    return object;
}

static json_t *export_json(const struct load_verdict *verdict) {
    json_t *object = json_object();
    json_object_set_new(object, "equal", json_boolean(verdict->is_export_equal));
    json_object_set_new(object, "text", json_string(verdict->export_text));
    json_object_set_new(object, "rows", number(verdict->export_rows));
    json_object_set_new(object, "foreign", number(verdict->export_foreign));
    json_object_set_new(object, "unheard", number(verdict->export_unheard));
    return object;
}

static void add_setting(json_t *root, const struct load_verdict *verdict) {
    const struct load_config *config = verdict->config;
    char url[320];
    snprintf(url, sizeof url, "http://%s", config->host);
    json_object_set_new(root, "url", json_string(url));
    json_object_set_new(root, "event", json_string(config->event));
    json_object_set_new(root, "seed", number(config->seed));
    json_object_set_new(root, "user_prefix", json_string(config->prefix));
    json_object_set_new(root, "users", number(config->users));
    json_object_set_new(root, "connections", number(config->connections));
    json_object_set_new(root, "pipeline", number(config->pipeline));
    json_object_set_new(root, "threads", number(config->threads));
    json_object_set_new(root, "rate", json_real(config->rate));
}

static void add_measured(json_t *root, const struct load_verdict *verdict) {
    const struct load_tally *tally = &verdict->tally;
    uint64_t unanswered = verdict->findings.kinds[FINDING_UNANSWERED].count;
    json_object_set_new(root, "interrupted", json_boolean(verdict->was_interrupted));
    json_object_set_new(root, "seconds", json_real(seconds(verdict)));
    json_object_set_new(root, "requests_per_second", json_real(requests_per_second(verdict)));
    json_object_set_new(root, "generator_cpu_us_per_request",
                        json_real(cpu_us_per_request(verdict)));
    json_object_set_new(root, "requests",
                        json_pack("{s:I,s:I,s:I,s:I}", "sent", (json_int_t)tally->sent, "answered",
                                  (json_int_t)tally->answered, "resent", (json_int_t)tally->resent,
                                  "unanswered", (json_int_t)unanswered));
    json_t *outcomes = json_object(), *latencies = json_object(), *errors = json_object();
    for (unsigned i = 0; i < TOLD_COUNT; i++)
        json_object_set_new(outcomes, told_name(i), number(verdict->told[i]));
    for (unsigned i = 0; i < LATENCY_COUNT; i++)
        json_object_set_new(latencies, load_latency_name(i), latency_json(tally->latencies[i]));
    for (unsigned i = 0; i < LOAD_ERROR_COUNT; i++)
        json_object_set_new(errors, load_error_name(i), number(tally->errors[i]));
    json_object_set_new(root, "outcomes", outcomes);
    json_object_set_new(root, "latency_us", latencies);
    json_object_set_new(root, "errors", errors);
}

int load_report_write_json(const struct load_verdict *verdict, const char *path, struct err *err) {
    char line[VERDICT_BYTES_MAX];
    verdict_line(verdict, line);
    json_t *root = json_object();
    json_object_set_new(root, "verified", json_boolean(load_report_is_good(verdict)));
    json_object_set_new(root, "verdict", json_string(line));
    add_setting(root, verdict);
    add_measured(root, verdict);
    json_object_set_new(root, "users_told", users_json(verdict));
    json_object_set_new(root, "stock", stock_json(verdict));
    json_object_set_new(root, "export", export_json(verdict));
    json_object_set_new(root, "findings", findings_json(&verdict->findings));
    errno = 0;
    int failed = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    if (failed == 0) return 0;
    return err_set(err, errno != 0 ? -errno : -EIO, "--json %s: %s", path, strerror(errno));
}
