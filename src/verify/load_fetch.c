/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/load_fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/http/client.h"
#include "lib/token.h"
#include "verify/load_export.h"

enum { LINE_BYTES_MAX = 4096, REFUSAL_BYTES_MAX = 65536 };

/* The lines of a body that comes in pieces. */
struct line_reader {
    struct load_export *exported;
    struct buf line;
};

static int on_body(void *ctx, struct slice piece) {
    struct line_reader *reader = ctx;
    while (piece.n > 0) {
        const char *end = memchr(piece.p, '\n', piece.n);
        size_t n = end == NULL ? piece.n : (size_t)(end - piece.p);
        buf_add(&reader->line, piece.p, n);
        if (reader->line.failed) return -EMSGSIZE;
        if (end == NULL) return 0;
        if (reader->line.n > 0) load_export_line(reader->exported, buf_slice(&reader->line));
        buf_consume(&reader->line, reader->line.n);
        piece = slice_of(end + 1, piece.n - n - 1);
    }
    return 0;
}

/* Nothing to compare with: a finding when the caller had asked for it by name. */
static void not_compared(struct load_verdict *verdict, const char *why) {
    snprintf(verdict->export_text, sizeof verdict->export_text, "export not compared: %s", why);
    if (verdict->config->is_admin_explicit && verdict->config->wants_export)
        findings_add(&verdict->findings, FINDING_EXPORT_UNREADABLE, "%s", why);
}

/* Asks for the export and hands on its lines. 0, or a negative errno with what went wrong. */
static int fetch_lines(const struct load_config *config, const char *token,
                       struct line_reader *reader, struct err *err) {
    char path[160];
    snprintf(path, sizeof path, "/admin/v1/events/%s/export?format=ndjson", config->event);
    struct http_call call = {.method = "GET",
                             .path = path,
                             .bearer = token,
                             .timeout_ms = (int)(config->timeout_ns / 1000000),
                             .on_body = on_body,
                             .ctx = reader};
    struct buf refusal;
    buf_init(&refusal, REFUSAL_BYTES_MAX);
    int status = 0;
    int failed = http_client_call(&config->admin, &call, &status, &refusal, err);
    buf_deinit(&refusal);
    if (failed != 0) return failed;
    if (status != 200) return err_set(err, -EACCES, "the admin listener answered with %d", status);
    if (reader->line.n > 0) load_export_line(reader->exported, buf_slice(&reader->line));
    return 0;
}

static void fetch(struct load_verdict *verdict, const char *token) {
    struct load_export exported = {.verdict = verdict};
    struct line_reader reader = {.exported = &exported};
    struct err err = {0};
    buf_init(&reader.line, LINE_BYTES_MAX);
    if (load_export_begin(&exported) != 0)
        not_compared(verdict, "out of memory");
    else if (fetch_lines(verdict->config, token, &reader, &err) != 0)
        not_compared(verdict, err.text);
    else
        load_export_end(&exported);
    load_export_deinit(&exported);
    buf_deinit(&reader.line);
}

void load_fetch_and_compare(struct load_verdict *verdict) {
    const struct load_config *config = verdict->config;
    const struct token_source source = {.file = config->token_file,
                                        .text = config->token,
                                        .folder = config->data_folder,
                                        .name = "admin.token"};
    char token[TOKEN_BYTES_MAX];
    struct err err = {0};
    if (!config->wants_export)
        not_compared(verdict, "switched off");
    else if (token_find(&source, token, &err) != 0)
        not_compared(verdict, "no admin token (--token-file, COUPOND_ADMIN_TOKEN, or admin.token "
                              "in --data-dir)");
    else
        fetch(verdict, token);
}
