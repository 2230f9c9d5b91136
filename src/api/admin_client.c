/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin_client.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_plan.h"
#include "api/admin_table.h"
#include "lib/buf.h"
#include "lib/http/client.h"
#include "lib/token.h"

enum { EXIT_DONE = 0, EXIT_NO = 1, EXIT_USAGE = 2 };
enum { ANSWER_BYTES_MAX = 64 << 20 };

static int complain(int exit_status, const char *text) {
    fprintf(stderr, "%s%s\n", strncmp(text, "usage:", 6) == 0 ? "" : "coupond event: ", text);
    return exit_status;
}

/* ---- the token ---- */

/* --token-file, then the environment, then the data folder of a server on this machine. */
static int find_token(const struct options *options, char token[TOKEN_BYTES_MAX], struct err *err) {
    const struct token_source source = {.file = options_get(options, "token-file")->text,
                                        .text = options_get(options, "admin-token")->text,
                                        .folder = options_get(options, "data-dir")->text,
                                        .name = "admin.token"};
    const int result = token_find(&source, token, err);
    if (result != -ENOENT || source.file != NULL) return result;
    return err_set(err, -ENOENT,
                   "no admin token: there is no %s/%s; give --data-dir of the server, --token-file, "
                   "or COUPOND_ADMIN_TOKEN",
                   source.folder, source.name);
}

/* ---- the call ---- */

static int write_piece(void *ctx, struct slice piece) {
    (void)ctx;
    return fwrite(piece.p, 1, piece.n, stdout) == piece.n ? 0 : -EIO;
}

static int call(const struct options *options, const struct admin_plan *plan, int *status,
                struct buf *answer, struct err *err) {
    struct http_url url;
    char token[TOKEN_BYTES_MAX];
    int result = http_url_parse(&url, options_get(options, "admin")->text, err);
    if (result == 0) result = find_token(options, token, err);
    if (result != 0) return result;
    const struct http_call http_call = {
        .method = plan->method,
        .path = plan->path,
        .bearer = token,
        .body = plan->body == NULL ? slice_of("", 0) : slice_str(plan->body),
        .timeout_ms = (int)options_get(options, "timeout")->number,
        .on_body = plan->answer == ADMIN_ANSWER_EXPORT ? write_piece : NULL,
    };
    result = http_client_call(&url, &http_call, status, answer, err);
    memset(token, 0, sizeof token);
    return result;
}

/* No answer, or only part of one. */
static int complain_unanswered(const struct admin_plan *plan, const struct err *err) {
    const bool is_nobody_there =
        err->code == -ECONNREFUSED || err->code == -EHOSTUNREACH || err->code == -ENETUNREACH;
    fprintf(stderr, "coupond event: %s%s\n", err->text,
            is_nobody_there ? "; start a server, or name its admin address with --admin URL" : "");
    if (plan->body != NULL && (err->code == -ETIMEDOUT || err->code == -EPIPE))
        fprintf(stderr, "coupond event: it may have been done all the same; look with show\n");
    return EXIT_NO;
}

/* ---- the answer ---- */

/* DETAIL (CODE) of a problem document (RFC 9457), or what else there is to say. */
static int complain_refused(int status, const json_t *problem) {
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *code = json_string_value(json_object_get(problem, "code"));
    if (detail == NULL) detail = title;
    if (detail == NULL)
        fprintf(stderr,
                "coupond event: the server answered %d, not as an admin address of coupond does; "
                "is --admin right?\n",
                status);
    else if (code == NULL)
        fprintf(stderr, "coupond event: %s\n", detail);
    else
        fprintf(stderr, "coupond event: %s (%s)\n", detail, code);
    return EXIT_NO;
}

static int complain_pending(const json_t *answer) {
    const char *message = json_string_value(json_object_get(answer, "message"));
    fprintf(stderr, "coupond event: %s\n",
            message == NULL ? "Not confirmed yet. Look at the event." : message);
    return EXIT_NO;
}

static bool add_table(struct buf *out, const struct admin_plan *plan, const json_t *answer) {
    return plan->answer == ADMIN_ANSWER_EVENTS ? admin_table_events(out, answer)
                                               : admin_table_event(out, answer);
}

static int print_answer(const struct options *options, const struct admin_plan *plan,
                        const struct buf *text, const json_t *answer) {
    struct buf table;
    buf_init(&table, ANSWER_BYTES_MAX);
    const bool is_known = add_table(&table, plan, answer) && !table.failed;
    const bool is_raw = options_get(options, "raw")->number != 0;
    if (is_known && is_raw)
        printf("%.*s\n", (int)text->n, text->p);
    else if (is_known)
        fwrite(table.p, 1, table.n, stdout);
    buf_deinit(&table);
    return is_known ? EXIT_DONE : complain_refused(200, NULL);
}

static int tell(const struct options *options, const struct admin_plan *plan, int status,
                const struct buf *text) {
    if (status == 200 && plan->answer == ADMIN_ANSWER_EXPORT) return EXIT_DONE;
    json_t *answer = json_loadb(text->n == 0 ? "" : text->p, text->n, 0, NULL);
    int result;
    if (status == 200 || status == 201)
        result = print_answer(options, plan, text, answer);
    else if (status == 202)
        result = complain_pending(answer);
    else
        result = complain_refused(status, answer);
    json_decref(answer);
    return result;
}

static int run(const struct options *options, const struct admin_plan *plan) {
    struct err err = {0};
    struct buf answer;
    int status = 0;
    buf_init(&answer, ANSWER_BYTES_MAX);
    int result = call(options, plan, &status, &answer, &err) == 0
                     ? tell(options, plan, status, &answer)
                     : complain_unanswered(plan, &err);
    buf_deinit(&answer);
    if (fflush(stdout) != 0 || ferror(stdout))
        result = complain(EXIT_NO, "the standard output cannot be written");
    return result;
}

int admin_client_command(const struct options *options, int words, char **word) {
    struct admin_plan plan;
    struct http_url url;
    struct err err = {0};
    if (http_url_parse(&url, options_get(options, "admin")->text, &err) != 0)
        return complain(EXIT_USAGE, err.text);
    if (admin_plan_make(&plan, options, getenv("USER"), words, word, &err) != 0)
        return complain(EXIT_USAGE, err.text);
    const int result = run(options, &plan);
    admin_plan_free(&plan);
    return result;
}
