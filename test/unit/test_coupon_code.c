/* SPDX-License-Identifier: Apache-2.0
 *
 * Codes are those that another program derives from the same key, typing errors are found, and keys
 * are made once, kept from others and never half read.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "claim/coupon_code.h"
#include "sim/random_sim.h"

#define LETTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

enum { LETTERS_COUNT = sizeof(LETTERS) - 1 };

/* The bytes 0, 1, … 31. */
static void fill_key(unsigned char key[CODE_KEY_BYTES]) {
    for (int i = 0; i < CODE_KEY_BYTES; i++) key[i] = (unsigned char)i;
}

static struct coupon_deriver *deriver_new(void) {
    unsigned char key[CODE_KEY_BYTES];
    fill_key(key);
    struct coupon_deriver *deriver = coupon_deriver_new(key);
    assert_non_null(deriver);
    return deriver;
}

static struct code_format format_of(size_t letters, uint8_t length) {
    return (struct code_format){.alphabet = slice_of(LETTERS, letters), .length = length};
}

/* ---- Codes ---- */

static void codes_are_those_of_another_program(void **state) {
    (void)state;
    const struct {
        struct code_format format;
        struct slice event_id;
        uint32_t serial, round;
        const char *code;
    } cases[] = {
        {code_format_default, SLICE("sample_event"), 1, 0, "SWG35AET79BPR7120"},
        {code_format_default, SLICE("sample_event"), 1, 1, "3F54PT8GM5D60ZF7B"},
        {code_format_default, SLICE("sample_event"), 1000000, 0, "F3RW9FBPF63WJ8QGA"},
        {{SLICE("SALE-"), SLICE("0123456789"), 64},
         SLICE("sample_event"),
         7,
         2,
         "SALE-17248628847548933613733736960732541614443241236769468326473703063"},
        {format_of(11, 64), SLICE("e"), 7, 0,
         "533487118590487A74AAA34530692426A15226A52655AA2095139535548395410"},
        {format_of(62, 14), SLICE("e"), 7, 0, "zM4CGBDYNz90qKw"},
        {format_of(33, 64), SLICE("e"), 0xfffffff0, UINT32_MAX,
         "6O71AHE2CA2RAAEAMH9UCC5T0QJN0N1QJN1IWI8TQ5JFTQO88TFD3DQ8JOU87KPC5"},
    };
    struct coupon_deriver *deriver = deriver_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char code[COUPON_CODE_BYTES_MAX];
        size_t n = coupon_code(deriver, &cases[i].format, cases[i].event_id, cases[i].serial,
                               cases[i].round, code);
        assert_int_equal(n, strlen(cases[i].code));
        assert_memory_equal(code, cases[i].code, n);
        assert_true(coupon_code_is_plausible(&cases[i].format, slice_of(code, n)));
    }
    coupon_deriver_free(deriver);
    coupon_deriver_free(NULL);
}

static int compare_codes(const void *a, const void *b) {
    return memcmp(a, b, 17);
}

static void every_key_and_serial_has_its_own_code(void **state) {
    (void)state;
    unsigned char other_key[CODE_KEY_BYTES] = {1};
    struct coupon_deriver *derivers[2] = {deriver_new(), coupon_deriver_new(other_key)};
    static char codes[2000][COUPON_CODE_BYTES_MAX];
    for (uint32_t i = 0; i < 2000; i++)
        assert_int_equal(
            coupon_code(derivers[i % 2], &code_format_default, SLICE("e"), 1 + i / 2, 0, codes[i]),
            17);
    qsort(codes, 2000, sizeof(codes[0]), compare_codes);
    for (int i = 1; i < 2000; i++) assert_true(memcmp(codes[i - 1], codes[i], 17) != 0);
    coupon_deriver_free(derivers[0]);
    coupon_deriver_free(derivers[1]);
}

/* Within seven standard deviations of what equally likely digits would give. */
static void digits_are_equally_likely(void **state) {
    (void)state;
    struct coupon_deriver *deriver = deriver_new();
    const size_t sizes[] = {10, 33, 62};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct code_format format = format_of(sizes[s], 64);
        double counts[256] = {0}, expected = 2000 * 64 / (double)sizes[s];
        for (uint32_t serial = 1; serial <= 2000; serial++) {
            char code[COUPON_CODE_BYTES_MAX];
            coupon_code(deriver, &format, SLICE("e"), serial, 0, code);
            for (int i = 0; i < 64; i++) counts[(unsigned char)code[i]]++;
        }
        for (size_t i = 0; i < sizes[s]; i++) {
            double off = counts[(unsigned char)LETTERS[i]] - expected;
            assert_true(off * off < 49 * expected);
        }
    }
    coupon_deriver_free(deriver);
}

static void every_wrong_character_is_found(void **state) {
    (void)state;
    struct coupon_deriver *deriver = deriver_new();
    for (size_t letters = 10; letters <= LETTERS_COUNT; letters++) {
        struct code_format format = format_of(letters, 25);
        format.prefix = SLICE("A-");
        char code[COUPON_CODE_BYTES_MAX];
        size_t n = coupon_code(deriver, &format, SLICE("e"), (uint32_t)letters, 0, code);
        assert_true(coupon_code_is_plausible(&format, slice_of(code, n)));
        for (size_t i = 0; i < n; i++) {
            char right = code[i];
            for (int other = 0; other < 256; other++) {
                code[i] = (char)other;
                bool is_plausible = coupon_code_is_plausible(&format, slice_of(code, n));
                assert_int_equal(is_plausible, code[i] == right);
            }
            code[i] = right;
        }
        assert_false(coupon_code_is_plausible(&format, slice_of(code, n - 1)));
        assert_false(coupon_code_is_plausible(&format, slice_of(code, n + 1)));
        assert_false(coupon_code_is_plausible(&format, slice_of(NULL, 0)));
    }
    coupon_deriver_free(deriver);
}

/* In an even base only the first and the last letter of the alphabet may be swapped unnoticed. */
static void swapped_neighbours_are_found(void **state) {
    (void)state;
    struct coupon_deriver *deriver = deriver_new();
    for (size_t letters = 10; letters <= LETTERS_COUNT; letters++) {
        struct code_format format = format_of(letters, 64);
        char code[COUPON_CODE_BYTES_MAX];
        size_t n = coupon_code(deriver, &format, SLICE("e"), (uint32_t)letters, 0, code);
        for (size_t i = 0; i + 1 < n; i++) {
            char a = code[i], b = code[i + 1];
            bool is_excused = letters % 2 == 0 && a != b && (a == '0' || b == '0') &&
                              (a == LETTERS[letters - 1] || b == LETTERS[letters - 1]);
            code[i] = b;
            code[i + 1] = a;
            assert_int_equal(coupon_code_is_plausible(&format, slice_of(code, n)),
                             a == b || is_excused);
            code[i] = a;
            code[i + 1] = b;
        }
    }
    coupon_deriver_free(deriver);
}

/* ---- Formats ---- */

static void assert_problem(struct slice prefix, struct slice alphabet, uint8_t length,
                           const char *beginning) {
    struct record open = {.type = RECORD_OPEN,
                          .event_id = SLICE("e"),
                          .open = {.stock = 1, .ends_ms = 1, .code = {prefix, alphabet, length}}};
    _Alignas(8) char bytes[RECORD_BYTES_MAX];
    const char *problem = code_format_problem(&open.open.code);
    if (beginning == NULL)
        assert_null(problem);
    else
        assert_memory_equal(problem, beginning, strlen(beginning));
    assert_int_equal(record_encode(bytes, &open) != 0, problem == NULL); /* the log agrees */
}

static void a_bad_format_is_told_by_its_field(void **state) {
    (void)state;
    struct slice base32 = code_format_default.alphabet;
    assert_null(code_format_problem(&code_format_default));
    assert_problem(SLICE("ABCDEFGH-1234567"), base32, 16, NULL);
    assert_problem(SLICE("ABCDEFGH-12345678"), base32, 16, "code.prefix is longer");
    assert_problem(SLICE("A_"), base32, 16, "code.prefix has a character");
    assert_problem(SLICE(""), SLICE("012345678"), 64, "code.alphabet has fewer");
    assert_problem(SLICE(""), SLICE(LETTERS "0123"), 64, "code.alphabet has more");
    assert_problem(SLICE(""), SLICE(LETTERS "0"), 64, "code.alphabet has the same");
    assert_problem(SLICE(""), SLICE("0123456789-"), 64, "code.alphabet has a character");
    assert_problem(SLICE(""), base32, 65, "code.length is more");
    assert_problem(SLICE(""), base32, 15, "code.length is too short");
    assert_problem(SLICE(""), base32, 0, "code.length is too short");
    for (size_t letters = 9; letters <= LETTERS_COUNT; letters++) {
        for (unsigned length = 10; length <= 66; length++) {
            struct code_format format = format_of(letters, (uint8_t)length);
            const char *problem = code_format_problem(&format);
            assert_problem(format.prefix, format.alphabet, format.length,
                           problem == NULL ? NULL : "code.");
        }
    }
}

/* ---- Keys ---- */

struct folder {
    char path[64];
};

static int make_folder(void **state) {
    struct folder *folder = calloc(1, sizeof(*folder));
    *folder = (struct folder){"/tmp/coupond-keys-XXXXXX"};
    *state = folder;
    return mkdtemp(folder->path) == NULL;
}

static void remove_name(void *ctx, const char *name) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", ((struct folder *)ctx)->path, name);
    assert_int_equal(remove(path), 0);
}

static int remove_folder(void **state) {
    struct folder *folder = *state;
    assert_int_equal(disk_system.list(&disk_system, folder->path, remove_name, folder), 0);
    int result = rmdir(folder->path);
    free(folder);
    return result;
}

static void write_file(const struct folder *folder, const char *name, const char *text,
                       mode_t mode) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) < 0, 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int load(const struct folder *folder, bool create, struct code_keys *keys, struct err *err) {
    struct random_sim random;
    random_sim_init(&random, 5);
    *err = (struct err){0};
    return code_keys_load(keys, folder->path, create, &random.source, err);
}

#define HEX_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static void the_first_key_is_made_and_kept(void **state) {
    const struct folder *folder = *state;
    struct code_keys keys, again;
    struct err err;
    assert_int_equal(load(folder, false, &keys, &err), -ENOENT);
    assert_non_null(strstr(err.text, "has no key file"));
    assert_int_equal(load(folder, true, &keys, &err), 0);
    assert_int_equal(keys.count, 1);
    assert_int_equal(keys.current, keys.keys[0].id);
    assert_int_equal(keys.current, code_key_id(keys.keys[0].key));

    char path[512];
    snprintf(path, sizeof(path), "%s/code-1.key", folder->path);
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_int_equal(file.st_size, 65);
    assert_int_equal(load(folder, true, &again, &err), 0);
    assert_memory_equal(again.keys[0].key, keys.keys[0].key, CODE_KEY_BYTES);
    assert_int_equal(again.count, 1);
}

static void count_name(void *ctx, const char *name) {
    (void)name;
    ++*(int *)ctx;
}

static void making_a_key_leaves_nothing_else(void **state) {
    const struct folder *folder = *state;
    struct code_keys keys;
    struct err err;
    assert_int_equal(load(folder, true, &keys, &err), 0);
    int names = 0;
    assert_int_equal(disk_system.list(&disk_system, folder->path, count_name, &names), 0);
    assert_int_equal(names, 1);
}

static void the_last_name_is_current(void **state) {
    const struct folder *folder = *state;
    write_file(folder, "b.key", HEX_KEY "\n", 0400);
    write_file(folder, "a.key",
               "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\n", 0600);
    write_file(folder, "notes.txt", "not a key", 0644);
    write_file(folder, ".key", "not a key", 0644);
    struct code_keys keys;
    struct err err;
    assert_int_equal(load(folder, true, &keys, &err), 0);
    assert_int_equal(keys.count, 2);
    assert_true(keys.current == 0x626f55913467b577); /* computed by another program */
    unsigned char expected[CODE_KEY_BYTES];
    fill_key(expected);
    assert_memory_equal(code_keys_find(&keys, keys.current), expected, CODE_KEY_BYTES);
    assert_ptr_equal(code_keys_find(&keys, keys.keys[0].id), keys.keys[0].key);
    assert_null(code_keys_find(&keys, 1));
}

/* Refused with both texts in the message, and no secret kept. */
static void assert_refused(const struct folder *folder, int code, const char *first,
                           const char *second) {
    struct code_keys keys, zeros = {0};
    struct err err;
    assert_int_equal(load(folder, true, &keys, &err), code);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.text, first));
    assert_non_null(strstr(err.text, second));
    assert_memory_equal(&keys, &zeros, sizeof(keys));
}

static void a_key_that_others_can_read_is_refused(void **state) {
    const struct folder *folder = *state;
    const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644, 0777};
    write_file(folder, "a.key", HEX_KEY "\n", 0600);
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        write_file(folder, "b.key", HEX_KEY "\n", modes[i]);
        assert_refused(folder, -EACCES, "chmod 600", "b.key");
    }
}

static void a_file_of_other_content_is_refused(void **state) {
    const struct folder *folder = *state;
    const char *const contents[] = {
        "",
        "\n",
        HEX_KEY,
        HEX_KEY "\n\n",
        HEX_KEY "\r\n",
        HEX_KEY "x",
        "g00102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n",
        "0g0102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n",
        "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1G\n",
        "00010203040506070809 a0b0c0d0e0f101112131415161718191A1B1C1D1E1F\n"};
    write_file(folder, "a.key", HEX_KEY "\n", 0600);
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        write_file(folder, "b.key", contents[i], 0600);
        assert_refused(folder, -EBADMSG, "b.key", "64 hexadecimal digits");
    }
}

static void what_is_no_file_is_refused(void **state) {
    const struct folder *folder = *state;
    char path[512];
    snprintf(path, sizeof(path), "%s/b.key", folder->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(folder, -EBADMSG, "b.key", "is no regular file");
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(folder, -EBADMSG, "b.key", "is no regular file");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_refused(folder, -ENOENT, "b.key", "cannot open");
}

static void more_than_16_keys_are_refused(void **state) {
    const struct folder *folder = *state;
    char name[16];
    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof(name), "k%d.key", i);
        write_file(folder, name, HEX_KEY "\n", 0600);
    }
    struct code_keys keys;
    struct err err;
    assert_int_equal(load(folder, true, &keys, &err), 0);
    assert_int_equal(keys.count, 16);
    write_file(folder, "k16.key", HEX_KEY "\n", 0600);
    assert_refused(folder, -E2BIG, folder->path, "17 key files, at most 16");
}

static void a_folder_that_is_not_there_is_told(void **state) {
    (void)state;
    struct folder missing = {"/tmp/coupond-keys-missing/nowhere"};
    assert_refused(&missing, -ENOENT, missing.path, "cannot list");
    static char path[5000];
    memset(path, '/', sizeof(path) - 1);
    memcpy(path, "/tmp", 4);
    struct random_sim random;
    random_sim_init(&random, 1);
    struct code_keys keys;
    struct err err;
    assert_int_not_equal(code_keys_load(&keys, path, true, &random.source, &err), 0);
}

int main(void) {
#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_another_program),
        cmocka_unit_test(every_key_and_serial_has_its_own_code),
        cmocka_unit_test(digits_are_equally_likely),
        cmocka_unit_test(every_wrong_character_is_found),
        cmocka_unit_test(swapped_neighbours_are_found),
        cmocka_unit_test(a_bad_format_is_told_by_its_field),
        WITH_FOLDER(the_first_key_is_made_and_kept),
        WITH_FOLDER(making_a_key_leaves_nothing_else),
        WITH_FOLDER(the_last_name_is_current),
        WITH_FOLDER(a_key_that_others_can_read_is_refused),
        WITH_FOLDER(a_file_of_other_content_is_refused),
        WITH_FOLDER(what_is_no_file_is_refused),
        WITH_FOLDER(more_than_16_keys_are_refused),
        cmocka_unit_test(a_folder_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
