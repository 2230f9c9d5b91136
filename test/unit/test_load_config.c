/* SPDX-License-Identifier: Apache-2.0
 *
 * The options of `coupond load`, read from the real table.
 */
#include "verify/load_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum {
    COMMAND_SERVE = 1 << 0,
    COMMAND_EVENT = 1 << 1,
    COMMAND_LOAD = 1 << 2,
    COMMAND_LOG = 1 << 3,
    COMMAND_CONFIG = 1 << 4,
    COMMAND_BACKUP = 1 << 5,
    COMMAND_VERIFY = 1 << 6,
    COMMAND_SCHEMA = 1 << 7,
    COMMAND_CONSUME = 1 << 8,
    COMMAND_DLT = 1 << 9,
    COMMAND_ALL = (1 << 10) - 1,
};

enum { SECRET = OPTION_SECRET, RELOADABLE = OPTION_RELOADABLE, FLAG_ONLY = OPTION_FLAG_ONLY };

#define HEADING(title) {.type = OPTION_HEADING, .help = (title)},
#define OPTION(name, type, bits, fallback, min, max, choices, argument, help)                      \
    {name,    OPTION_##type, (bits) & COMMAND_ALL, fallback, min, max,                             \
     choices, argument,      help,                 (bits) & ~COMMAND_ALL},
static const struct option table[] = {
#include "options.def"
};
#undef OPTION
#undef HEADING

static void fill_with_ones(struct random_source *source, void *out, size_t bytes) {
    (void)source;
    memset(out, 0x11, bytes);
}

/* Reads a command line; the texts of the config are literals, so they outlive the options. */
static int read_flags(struct load_config *config, struct err *err, int flags,
                      const char *const *flag) {
    struct random_source ones = {fill_with_ones};
    char *argv[24] = {(char *)(uintptr_t) "load"};
    for (int i = 0; i < flags; i++) argv[i + 1] = (char *)(uintptr_t)flag[i];
    struct options options;
    int words;
    bool help;
    *err = (struct err){0};
    assert_int_equal(options_read(&options, table, ARRAY_LEN(table), COMMAND_LOAD,
                                  "NO_SUCH_PREFIX_", flags + 1, argv, &words, &help, err),
                     0);
    int failed = load_config_read(config, &options, &ones, err);
    options_free(&options);
    return failed;
}

#define READ(config, err, ...)                                                                     \
    read_flags((config), (err), (int)ARRAY_LEN(((const char *[]){__VA_ARGS__})),                   \
               (const char *[]){__VA_ARGS__})

static void defaults(void **state) {
    (void)state;
    struct load_config config;
    struct err err;
    assert_int_equal(READ(&config, &err, "--event", "E", "--users", "1000"), 0);
    assert_string_equal(config.host, "127.0.0.1:8080");
    assert_true(config.is_loopback && config.is_prefix_random && config.wants_export);
    assert_false(config.is_admin_explicit || config.is_shared);
    assert_string_equal(config.prefix, "r111111111111-");
    assert_int_equal(config.claims, 1000);
    assert_int_equal(config.connections, 64);
    assert_int_equal(config.pipeline, 1);
    assert_int_equal(config.threads, 1);
    assert_int_equal(config.timeout_ns, UINT64_C(10000000000));
    assert_true(config.rate == 0 && config.retries == 0 && config.duplicates == 0);
    assert_null(config.json_file);
    assert_string_equal(config.data_folder, "data");
}

static void what_is_asked_for(void **state) {
    (void)state;
    struct load_config config;
    struct err err;
    assert_int_equal(READ(&config, &err, "--event", "E", "--seed", "255", "--duration", "2s",
                          "--threads", "8", "--connections", "3", "--rate", "12.5", "--admin",
                          "http://127.0.0.1:9", "--url", "http://[::1]:80/", "--json", "x"),
                     0);
    assert_string_equal(config.prefix, "r0000000000ff-");
    assert_false(config.is_prefix_random || config.is_loopback);
    assert_int_equal(config.claims, UINT64_MAX);
    assert_int_equal(config.duration_ns, UINT64_C(2000000000));
    assert_int_equal(config.threads, 3); /* a thread without a connection is none */
    assert_true(config.rate == 12.5 && config.is_admin_explicit);
    assert_string_equal(config.host, "[::1]:80");
    assert_string_equal(config.json_file, "x");
    assert_int_equal(READ(&config, &err, "--event", "E", "--user-prefix", "me-", "--requests", "7",
                          "--duration", "1s"),
                     0);
    assert_string_equal(config.prefix, "me-");
    assert_false(config.is_prefix_random);
    assert_int_equal(config.claims, 7);
}

static void wrong_use(void **state) {
    (void)state;
    struct load_config config;
    struct err err;
    assert_int_equal(READ(&config, &err, "--users", "10"), -EINVAL); /* no event */
    assert_non_null(strstr(err.text, "--event"));
    assert_int_equal(READ(&config, &err, "--event", "E", "--url", "x"), -EINVAL);
    assert_int_equal(READ(&config, &err, "--event", "E", "--url", "http://127.0.0.1/x"), -EINVAL);
    assert_int_equal(READ(&config, &err, "--event", "E", "--admin", "127.0.0.1"), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(what_is_asked_for),
        cmocka_unit_test(wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
