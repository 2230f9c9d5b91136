/* SPDX-License-Identifier: Apache-2.0
 *
 * The help as it is printed, to the letter.
 */
#include "lib/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVE = 1, LOAD = 2 };

static const struct option table[] = {
    {.type = OPTION_HEADING, .help = "of nobody"},
    {.type = OPTION_HEADING, .help = "doors"},
    {"listen", OPTION_TEXT, SERVE, "127.0.0.1:8080", 0, 0, NULL, "ADDR", "Where to answer.", 0},
    {"users", OPTION_NUMBER, LOAD, "1000", 1, 9, NULL, "N", "Not of this command.", 0},
    {.type = OPTION_HEADING, .help = "the rest"},
    {"fsync", OPTION_SWITCH, SERVE, "true", 0, 0, NULL, "", "Wait for the disk.", 0},
    {"admin-token", OPTION_TEXT, SERVE, "geheim", 0, 0, NULL, "TEXT", "Token of the admin routes.",
     OPTION_SECRET},
    {"auth", OPTION_CHOICE, SERVE, NULL, 0, 0, "none|jwt", NULL, "Who may claim.", 0},
    {"a-name-that-is-too-long-for-it", OPTION_TEXT, SERVE | LOAD, NULL, 0, 0, NULL, "WORD",
     "Has a line to itself, and a text so long that it must be continued on a second line below.",
     0},
};

static void print(uint32_t command, char *out, size_t bytes_max) {
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stdout);
    int before = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    options_print_help(table, ARRAY_LEN(table), command);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    rewind(file);
    size_t bytes = fread(out, 1, bytes_max - 1, file);
    out[bytes] = '\0';
    fclose(file);
}

static void rows_are_aligned_with_their_defaults(void **state) {
    (void)state;
    char text[4096];
    print(SERVE, text, sizeof text);
    assert_string_equal(
        text,
        "\ndoors:\n"
        "  --listen ADDR       Where to answer. (default 127.0.0.1:8080)\n"
        "\nthe rest:\n"
        "  --[no-]fsync        Wait for the disk. (default true)\n"
        "  --admin-token TEXT  Token of the admin routes.\n"
        "  --auth none|jwt     Who may claim.\n"
        "  --a-name-that-is-too-long-for-it WORD\n"
        "                      Has a line to itself, and a text so long that it must be continued\n"
        "                      on a second line below.\n");
}

static void rows_of_other_commands_are_left_out(void **state) {
    (void)state;
    char text[4096];
    print(LOAD, text, sizeof text);
    assert_non_null(strstr(text, "--users N"));
    assert_null(strstr(text, "--listen"));
    print(4, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_aligned_with_their_defaults),
        cmocka_unit_test(rows_of_other_commands_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
