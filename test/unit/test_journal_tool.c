/* SPDX-License-Identifier: Apache-2.0
 *
 * What `coupond log check` and `log dump` print, and the status they end with.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "log/journal.h"
#include "log/journal_tool.h"

enum { OUTPUT_MAX = 4 * 1024 * 1024 };

static char folder[64];
static char output[OUTPUT_MAX], errors[4096];

static int ignore(void *ctx, const struct record *record, struct slice encoded) {
    (void)ctx, (void)record, (void)encoded;
    return 0;
}

static struct journal *open_journal(void) {
    const struct journal_options options = {.folder = folder,
                                            .segment_bytes = 1024 * 1024,
                                            .disk = &disk_system,
                                            .random = &random_system};
    struct journal *journal;
    struct err err;
    if (journal_open(&journal, &options, ignore, NULL, &err) != 0) fail_msg("%s", err.text);
    return journal;
}

static void append(const struct record *record, int times) {
    struct journal *journal = open_journal();
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    for (int i = 0; i < times; i++) {
        size_t n = record_encode(bytes, record);
        assert_true(n > 0);
        assert_int_equal(journal_append(journal, bytes, n, 1), 0);
    }
    journal_close(journal);
}

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/coupond-tool-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    (void)status, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void read_back(FILE *file, char *to, size_t max) {
    rewind(file);
    size_t n = fread(to, 1, max - 1, file);
    to[n] = '\0';
    fclose(file);
}

/* Runs the command with stdout and stderr kept in `output` and `errors`. */
static int command(int words, char **word) {
    FILE *out = tmpfile(), *err = tmpfile();
    fflush(stdout);
    fflush(stderr);
    int real_out = dup(1), real_err = dup(2);
    dup2(fileno(out), 1);
    dup2(fileno(err), 2);
    int status = journal_tool_command(NULL, words, word);
    fflush(stdout);
    fflush(stderr);
    dup2(real_out, 1);
    dup2(real_err, 2);
    close(real_out);
    close(real_err);
    read_back(out, output, sizeof(output));
    read_back(err, errors, sizeof(errors));
    return status;
}

static int run(const char *name) {
    char text[16];
    snprintf(text, sizeof(text), "%s", name);
    return command(2, (char *[]){text, folder});
}

static const struct record open_event = {
    .type = RECORD_OPEN,
    .ms = 1795424580123,
    .event_id = SLICE("summer"),
    .operator= SLICE("kim"),
    .reason = SLICE("says \"go\"\xed\x95\x9c"),
    .open = {.stock = 1000,
             .starts_ms = TIME_MS_MIN,
             .ends_ms = TIME_MS_MAX,
             .key_id = 0xfeedfacecafebeef,
             .code = {.prefix = SLICE("SUM-"),
                      .alphabet = SLICE("0123456789ABCDEF"),
                      .length = 20}},
};

static const struct record win = {
    .type = RECORD_WIN,
    .ms = 1795424581000,
    .event_id = SLICE("summer"),
    .win = {.gen = 1,
            .serial = 17,
            .reserve_seq = 99,
            .user_id = SLICE("user@example.org"),
            .claim_id = SLICE("key-\"1\"")},
};

static json_t *line_of(int number) {
    const char *line = output;
    for (int i = 0; i < number; i++) line = strchr(line, '\n') + 1;
    json_t *json =
        json_loadb(line, (size_t)(strchr(line, '\n') - line), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static void assert_text(const json_t *json, const char *key, const char *text) {
    assert_string_equal(json_string_value(json_object_get(json, key)), text);
}

static void assert_number(const json_t *json, const char *key, long long number) {
    assert_int_equal(json_integer_value(json_object_get(json, key)), number);
}

/* ---- Tests ---- */

static void dumps_every_field(void **state) {
    (void)state;
    append(&open_event, 1);
    append(&win, 1);
    assert_int_equal(run("dump"), 0);
    assert_string_equal(errors, "");

    json_t *json = line_of(0);
    assert_number(json, "seq", 1);
    assert_text(json, "type", "open");
    assert_text(json, "at", "2026-11-23T09:03:00.123Z");
    assert_text(json, "event_id", "summer");
    assert_number(json, "stock", 1000);
    assert_true(json_is_null(json_object_get(json, "starts_at")));
    assert_true(json_is_null(json_object_get(json, "ends_at")));
    assert_text(json, "key_id", "feedfacecafebeef");
    assert_text(json, "code_prefix", "SUM-");
    assert_text(json, "code_alphabet", "0123456789ABCDEF");
    assert_number(json, "code_length", 20);
    assert_text(json, "operator", "kim");
    assert_text(json, "reason", "says \"go\"\xed\x95\x9c");
    json_decref(json);

    json = line_of(1);
    assert_number(json, "seq", 3); /* 2 is a MARK */
    assert_text(json, "type", "win");
    assert_number(json, "gen", 1);
    assert_number(json, "serial", 17);
    assert_text(json, "user_id", "user@example.org");
    assert_text(json, "claim_id", "key-\"1\"");
    assert_number(json, "reserve_seq", 99);
    assert_null(json_object_get(json, "reason"));
    json_decref(json);
}

/* Each type decodes as JSON with what is its own. */
static void dumps_every_type(void **state) {
    (void)state;
    struct record record = {.ms = 0, .event_id = SLICE("e")};
    record.type = RECORD_FENCE;
    record.fence.gen = 2;
    record.fence.nonce = 15;
    append(&record, 1);
    record.type = RECORD_RETURN;
    record.give_back.serial = 3;
    record.give_back.user_id = SLICE("u");
    append(&record, 1);
    record.type = RECORD_RESTOCK;
    record.restock.stock = 4;
    append(&record, 1);
    record.type = RECORD_RESCHEDULE;
    record.reschedule.starts_ms = 1000;
    record.reschedule.ends_ms = TIME_MS_MAX - 1;
    append(&record, 1);
    enum record_type bare[] = {RECORD_PAUSE, RECORD_RESUME, RECORD_CLOSE};
    for (size_t i = 0; i < ARRAY_LEN(bare); i++) {
        record.type = bare[i];
        append(&record, 1);
    }
    assert_int_equal(run("dump"), 0);
    static const char *const types[] = {"fence", "return", "restock", "reschedule",
                                        "pause", "resume", "close"};
    for (int i = 0; i < (int)ARRAY_LEN(types); i++) {
        json_t *json = line_of(i);
        assert_text(json, "type", types[i]);
        if (i == 0) assert_text(json, "nonce", "000000000000000f");
        if (i == 1) assert_text(json, "user_id", "u");
        if (i == 2) assert_number(json, "stock", 4);
        if (i == 3) assert_text(json, "starts_at", "1970-01-01T00:00:01.000Z");
        if (i == 3) assert_number(json, "ends_at", TIME_MS_MAX - 1); /* has no date */
        json_decref(json);
    }
}

static void checks_a_good_journal(void **state) {
    (void)state;
    append(&open_event, 1);
    append(&win, 600);
    assert_int_equal(run("check"), 0);
    assert_string_equal(errors, "");
    assert_non_null(strstr(output, "segments    1\nrecords     601\n"));
    assert_non_null(strstr(output, "first seq   1\nlast seq    1201\ntorn bytes  0\n"));
    assert_int_equal(run("dump"), 0); /* larger than the output's buffer */
    json_decref(line_of(600));
}

/* Beside a server, too: the journal is open for writing here. */
static void reads_beside_a_writer(void **state) {
    (void)state;
    append(&win, 5);
    struct journal *journal = open_journal();
    assert_int_equal(run("check"), 0);
    assert_non_null(strstr(output, "records     5\n"));
    journal_close(journal);
}

static void tells_torn_bytes(void **state) {
    (void)state;
    append(&win, 5);
    char path[128];
    snprintf(path, sizeof(path), "%s/journal-0000000000000001.log", folder);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "torn", 4, 5000), 4);
    close(fd);
    assert_int_equal(run("check"), 0);
    assert_non_null(strstr(output, "records     5\n"));
    assert_non_null(strstr(output, "never acknowledged"));
}

static void tells_damage(void **state) {
    (void)state;
    append(&win, 5);
    char path[128];
    snprintf(path, sizeof(path), "%s/journal-0000000000000001.log", folder);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "garbage", 7, 72 + 2 * 160 + 40), 7);
    close(fd);
    const char *names[] = {"check", "dump"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(run(names[i]), 1);
        assert_non_null(strstr(errors, path));
        assert_non_null(strstr(errors, "offset "));
        assert_non_null(strstr(errors, "damaged"));
    }
    json_decref(line_of(0)); /* what is good before it is dumped */
}

static void tells_where_there_is_none(void **state) {
    (void)state;
    assert_int_equal(run("check"), 1);
    assert_non_null(strstr(errors, "there is no journal in"));
    assert_non_null(strstr(errors, folder));
    char check[] = "check", nowhere[] = "/nonexistent";
    assert_int_equal(command(2, (char *[]){check, nowhere}), 1);
    assert_non_null(strstr(errors, "/nonexistent"));
}

static void wrong_usage(void **state) {
    (void)state;
    char check[] = "check", other[] = "other";
    assert_int_equal(command(0, NULL), 2);
    assert_int_equal(command(1, (char *[]){check}), 2);
    assert_int_equal(command(2, (char *[]){other, folder}), 2);
    assert_int_equal(command(3, (char *[]){check, folder, folder}), 2);
    assert_non_null(strstr(errors, "usage: coupond log"));
}

static int run_into(int fd) {
    fflush(stdout);
    int real_out = dup(1);
    dup2(fd, 1);
    char dump[] = "dump";
    int status = journal_tool_command(NULL, 2, (char *[]){dump, folder});
    dup2(real_out, 1);
    close(real_out);
    return status;
}

static void survives_its_reader(void **state) {
    (void)state;
    append(&win, 600);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(run_into(ends[1]), 0);
    close(ends[1]);
    int full = open("/dev/full", O_WRONLY);
    assert_int_equal(run_into(full), 1);
    close(full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(dumps_every_field),         TEST(dumps_every_type), TEST(checks_a_good_journal),
        TEST(reads_beside_a_writer),     TEST(tells_torn_bytes), TEST(tells_damage),
        TEST(tells_where_there_is_none), TEST(wrong_usage),      TEST(survives_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
