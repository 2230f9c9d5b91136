/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond event` against canned answers: what it sends, prints and returns.
 */
#include "api/admin_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fake/one_shot_server.h"
#include "lib/base.h"

enum { COMMAND_EVENT = 1 };

/* The rows of options.def that these tests use. */
static const struct option table[] = {
    {"admin", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "URL", "", false},
    {"token-file", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "FILE", "", false},
    {"admin-token", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TOKEN", "", false},
    {"data-dir", OPTION_TEXT, COMMAND_EVENT, "data", 0, 0, NULL, "DIR", "", false},
    {"timeout", OPTION_DURATION, COMMAND_EVENT, "10s", 0, 60000, NULL, "TIME", "", false},
    {"to", OPTION_NUMBER, COMMAND_EVENT, NULL, 1, 1000000, NULL, "N", "", false},
    {"format", OPTION_CHOICE, COMMAND_EVENT, "csv", 0, 0, "csv|ndjson", "F", "", false},
    {"reason", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "TEXT", "", false},
    {"operator", OPTION_TEXT, COMMAND_EVENT, NULL, 0, 0, NULL, "NAME", "", false},
    {"raw", OPTION_SWITCH, COMMAND_EVENT, "false", 0, 0, NULL, NULL, "", false},
};

/* A folder of our own, with what was printed and the token in it. */
struct place {
    char folder[32], out[64], err[64], token[64];
};

static char printed_out[8192], printed_err[8192];

static int setup(void **state) {
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    memcpy(place->folder, "/tmp/test_admin_XXXXXX", 23);
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->out, sizeof place->out, "%s/out", place->folder);
    snprintf(place->err, sizeof place->err, "%s/err", place->folder);
    snprintf(place->token, sizeof place->token, "%s/admin.token", place->folder);
    *state = place;
    return 0;
}

static int teardown(void **state) {
    struct place *place = *state;
    unlink(place->out);
    unlink(place->err);
    unlink(place->token);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static void write_token(const struct place *place, const char *text) {
    FILE *file = fopen(place->token, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Lets `fd` go to the file at `path`; returns what it was. */
static int redirect(int fd, const char *path) {
    const int saved = dup(fd), file = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0);
    assert_int_equal(dup2(file, fd), fd);
    close(file);
    return saved;
}

static void restore(int fd, int saved, const char *path, char *text, size_t text_bytes) {
    assert_int_equal(dup2(saved, fd), fd);
    close(saved);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, text_bytes - 1, file)] = '\0';
    fclose(file);
}

enum { ARGS_MAX = 10 };

/* Runs the command; what it prints is then in printed_out and printed_err. */
static int run(const struct place *place, const char *port, const char *const args[ARGS_MAX]) {
    char text[ARGS_MAX][80], admin[64], data[64];
    char *argv[ARGS_MAX + 3] = {text[0], admin, data};
    struct options options;
    struct err err;
    int words, argc = 3;
    bool help;
    snprintf(admin, sizeof admin, "--admin=http://127.0.0.1:%s", port);
    snprintf(data, sizeof data, "--data-dir=%s", place->folder);
    for (size_t i = 0; args[i] != NULL; i++) {
        snprintf(text[i], sizeof text[i], "%s", args[i]);
        argv[argc++] = text[i];
    }
    if (options_read(&options, table, ARRAY_LEN(table), COMMAND_EVENT, "NO_SUCH_PREFIX_", argc,
                     argv, &words, &help, &err) != 0)
        fail_msg("%s", err.text);
    fflush(stdout);
    const int saved_out = redirect(1, place->out), saved_err = redirect(2, place->err);
    const int status = admin_client_command(&options, words, argv + 1);
    fflush(stdout);
    restore(1, saved_out, place->out, printed_out, sizeof printed_out);
    restore(2, saved_err, place->err, printed_err, sizeof printed_err);
    options_free(&options);
    return status;
}

/* The same against a server that says `answer`; its request is then in `server`. */
static int run_against(const struct place *place, struct one_shot *server, const char *answer,
                       const char *const args[ARGS_MAX]) {
    *server = (struct one_shot){0};
    one_shot_start(server, answer);
    const int status = run(place, server->port, args);
    one_shot_stop(server);
    return status;
}

static void assert_says(const char *printed, const char *text) {
    if (strstr(printed, text) == NULL) fail_msg("\"%s\" does not say \"%s\"", printed, text);
}

#define HEAD(status) "HTTP/1.1 " status "\r\nContent-Type: application/json\r\n\r\n"
#define EVENT "{\"event_id\":\"e\",\"total_stock\":5}"

static void test_write(void **state) {
    struct one_shot server;
    write_token(*state, "from-the-folder\n");
    assert_int_equal(run_against(*state, &server, HEAD("201 Created") EVENT,
                                 (const char *[ARGS_MAX]){"restock", "e", "--to", "5", "--operator",
                                                          "Ann", "--reason", "more"}),
                     0);
    assert_says(server.request, "POST /admin/v1/events/e/restock HTTP/1.1\r\n");
    assert_says(server.request, "\r\nAuthorization: Bearer from-the-folder\r\n");
    assert_says(server.request,
                "\r\n\r\n{\"total_stock\":5,\"operator\":\"Ann\",\"reason\":\"more\"}");
    assert_says(printed_out, "event    e\n");
    assert_string_equal(printed_err, "");
}

static void test_list(void **state) {
    struct one_shot server;
    write_token(*state, "t");
    assert_int_equal(run_against(*state, &server, HEAD("200 OK") "{\"events\":[" EVENT "]}",
                                 (const char *[ARGS_MAX]){"list"}),
                     0);
    assert_says(server.request, "GET /admin/v1/events HTTP/1.1\r\n");
    assert_says(printed_out, "EVENT  STATUS");
}

static void test_json_as_it_came(void **state) {
    struct one_shot server;
    write_token(*state, "t");
    assert_int_equal(run_against(*state, &server, HEAD("200 OK") "{ \"events\" : [] }",
                                 (const char *[ARGS_MAX]){"list", "--raw"}),
                     0);
    assert_string_equal(printed_out, "{ \"events\" : [] }\n");
}

static void test_export(void **state) {
    struct one_shot server;
    write_token(*state, "t");
    assert_int_equal(run_against(*state, &server, HEAD("200 OK") "a,b\r\n1,2\r\n",
                                 (const char *[ARGS_MAX]){"export", "e"}),
                     0);
    assert_says(server.request, "GET /admin/v1/events/e/export?format=csv HTTP/1.1\r\n");
    assert_string_equal(printed_out, "a,b\r\n1,2\r\n");
    assert_int_equal(run_against(*state, &server,
                                 "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na,b\r\n",
                                 (const char *[ARGS_MAX]){"export", "e"}),
                     1);
    assert_says(printed_err, "cut short");
}

static void test_refused(void **state) {
    struct one_shot server;
    write_token(*state, "t");
    const char *const show[ARGS_MAX] = {"show", "e"};
    assert_int_equal(run_against(*state, &server,
                                 HEAD("404 Not Found") "{\"status\":404,\"code\":\"unknown_event\","
                                                       "\"detail\":\"There is none.\"}",
                                 show),
                     1);
    assert_string_equal(printed_err, "coupond event: There is none. (unknown_event)\n");
    assert_string_equal(printed_out, "");
    assert_int_equal(run_against(*state, &server, HEAD("200 OK") "<html>", show), 1);
    assert_says(printed_err, "is --admin right?");
    assert_int_equal(run_against(*state, &server, HEAD("502 Bad") "", show), 1);
    assert_says(printed_err, "answered 502");
}

static void test_in_doubt(void **state) {
    struct one_shot server;
    write_token(*state, "t");
    const char *const pause_event[ARGS_MAX] = {"pause", "e"};
    assert_int_equal(run_against(*state, &server,
                                 HEAD("202 Accepted") "{\"message\":\"Not confirmed yet.\"}",
                                 pause_event),
                     1);
    assert_string_equal(printed_err, "coupond event: Not confirmed yet.\n");
    assert_int_equal(run_against(*state, &server, "", pause_event), 1);
    assert_says(printed_err, "may have been done");
}

static void test_nobody_there(void **state) {
    struct one_shot server = {.is_deaf = true};
    write_token(*state, "t");
    one_shot_start(&server, "");
    one_shot_stop(&server);
    assert_int_equal(run(*state, server.port, (const char *[ARGS_MAX]){"list"}), 1);
    assert_says(printed_err, "cannot connect to http://127.0.0.1:");
    assert_says(printed_err, "--admin URL");
}

static void test_tokens(void **state) {
    const struct place *place = *state;
    struct one_shot server;
    const char *answer = HEAD("200 OK") "{\"events\":[]}";
    assert_int_equal(run(place, "1", (const char *[ARGS_MAX]){"list"}), 1);
    assert_says(printed_err, "no admin token");
    assert_says(printed_err, "COUPOND_ADMIN_TOKEN");
    write_token(place, "in-folder");
    assert_int_equal(run_against(place, &server, answer,
                                 (const char *[ARGS_MAX]){"list", "--admin-token", "given"}),
                     0);
    assert_says(server.request, "Bearer given\r\n");
    assert_int_equal(run_against(place, &server, answer,
                                 (const char *[ARGS_MAX]){"list", "--admin-token", "given",
                                                          "--token-file", place->token}),
                     0);
    assert_says(server.request, "Bearer in-folder\r\n");
    assert_int_equal(run(place, "1", (const char *[ARGS_MAX]){"list", "--token-file", "/no/such"}),
                     1);
    assert_says(printed_err, "/no/such");
    write_token(place, "\n");
    assert_int_equal(run(place, "1", (const char *[ARGS_MAX]){"list"}), 1);
    assert_says(printed_err, "is empty");
}

static void test_usage(void **state) {
    assert_int_equal(run(*state, "1", (const char *[ARGS_MAX]){"show"}), 2);
    assert_string_equal(printed_err, "usage: coupond event show EVENT\n");
    assert_int_equal(run(*state, "1", (const char *[ARGS_MAX]){"restock", "e"}), 2);
    assert_says(printed_err, "coupond event: --to is missing");
    assert_int_equal(run(*state, "x", (const char *[ARGS_MAX]){"list"}), 2);
    assert_says(printed_err, "is not a URL");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json_as_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(test_export, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_doubt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
