/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scripts are called with, and what their replies mean; any other reply is nonsense.
 */
#include "claim/redis_scripts.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake/redis_reply.h"

static void assert_slice(struct slice slice, const char *text) {
    if (!slice_eq(slice, slice_str(text))) fail_msg("%.*s is not %s", (int)slice.n, slice.p, text);
}

static void the_text_has_its_digest(void **state) {
    (void)state;
    const struct redis_script *const scripts[] = {&claim_script, &install_script, &query_script,
                                                  &snapshot_script};
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        unsigned char digest[SHA_DIGEST_LENGTH];
        char hex[2 * SHA_DIGEST_LENGTH + 1];
        SHA1((const unsigned char *)scripts[i]->text.p, scripts[i]->text.n, digest);
        for (size_t k = 0; k < sizeof digest; k++) snprintf(hex + 2 * k, 3, "%02x", digest[k]);
        assert_slice(scripts[i]->sha1, hex);
    }
    /* With a first line of "#!", Redis would refuse losers along with winners. */
    assert_true(claim_script.text.p[0] == '-' && install_script.text.p[0] == '-');
}

static void a_claim_has_four_keys_and_three_words(void **state) {
    (void)state;
    struct script_keys keys;
    struct claim_call call;
    script_keys_make(&keys, SLICE("e-1"));
    claim_call_make(&call, &keys, SLICE("user"), SLICE("claim"), UINT32_MAX);
    static const char *const words[] = {
        "4",    "coupon:{e-1}:m", "coupon:{e-1}:u", "coupon:{e-1}:f", "coupon:{e-1}:o",
        "user", "claim",          "4294967295"};
    static_assert(ARRAY_LEN(words) == CLAIM_CALL_WORDS, "all of them");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) assert_slice(call.words[i], words[i]);
    assert_slice(script_key(&keys), "coupon:{e-1}:m");
}

static void an_install_names_every_holder(void **state) {
    (void)state;
    static const char longest[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    struct script_keys keys;
    struct install_call call;
    script_keys_make(&keys, slice_of(longest, EVENT_ID_BYTES_MAX));
    const struct install_state opened = {.gen = UINT32_MAX,
                                         .ver = UINT32_MAX,
                                         .stock = UINT32_MAX,
                                         .starts_ms = INT64_MIN,
                                         .ends_ms = INT64_MAX,
                                         .status = INSTALL_PAUSED,
                                         .holders = UINT32_MAX};
    const struct script_reservation largest = {UINT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX,
                                               slice_of(longest, CLAIM_ID_BYTES_MAX)};
    const struct script_reservation least = {0, 0, 0, 0, SLICE("")};
    assert_int_equal(install_call_init(&call, &keys, &opened, 4000000000, 2), 0);
    install_call_add(&call, SLICE("u1"), &largest);
    install_call_add(&call, SLICE("u2"), &least);
    assert_int_equal(call.words_count, INSTALL_CALL_WORDS + 4);
    static const char *const words[] = {
        "4294967295",
        "4294967295",
        "4294967295",
        "-9223372036854775808",
        "9223372036854775807",
        "2",
        "4294967295",
        "4000000000",
        "u1",
        ("4294967295 4294967295 9223372036854775807 18446744073709551615 "
         "0123456789012345678901234567890123456789012345678901234567890123"),
        "u2",
        "0 0 0 0 "};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) assert_slice(call.words[7 + i], words[i]);
    struct script_reservation read;
    assert_true(script_reservation_read(call.words[16], &read));
    assert_int_equal(read.gen, UINT32_MAX);
    assert_int_equal(read.serial, UINT32_MAX);
    assert_true(read.ms == INT64_MAX && read.seq == UINT64_MAX);
    assert_slice(read.claim_id, longest);
    assert_true(script_reservation_read(call.words[18], &read));
    install_call_deinit(&call);
}

static struct claim_script_reply claim_reply(const char *bytes) {
    static struct redisReply *reply; /* kept, because what was read borrows from it */
    struct claim_script_reply read;
    if (reply != NULL) freeReplyObject(reply);
    reply = redis_reply_of(slice_str(bytes));
    assert_non_null(reply);
    claim_script_read(reply, &read);
    return read;
}

static void every_reply_of_a_claim(void **state) {
    (void)state;
    struct claim_script_reply read =
        claim_reply("*4\r\n:0\r\n:3\r\n:4\r\n$20\r\n3 17 1700 9 my claim\r\n");
    assert_int_equal(read.code, SCRIPT_WIN);
    assert_int_equal(read.gen, 3);
    assert_int_equal(read.ver, 4);
    assert_int_equal(read.reservation.gen, 3);
    assert_int_equal(read.reservation.serial, 17);
    assert_int_equal(read.reservation.ms, 1700);
    assert_int_equal(read.reservation.seq, 9);
    assert_slice(read.reservation.claim_id, "my claim");
    read = claim_reply("*4\r\n:1\r\n:3\r\n:4\r\n$9\r\n2 1 5 6 c\r\n");
    assert_int_equal(read.code, SCRIPT_HAVE);
    assert_int_equal(read.reservation.gen, 2);
    assert_int_equal(claim_reply("*4\r\n:1\r\n:3\r\n:4\r\n$9\r\n2 0 5 6 c\r\n").code,
                     SCRIPT_RETURNED);
    assert_int_equal(claim_reply("*3\r\n:2\r\n:3\r\n:4\r\n").code, SCRIPT_SOLD_OUT);
    read = claim_reply("*4\r\n:3\r\n:3\r\n:4\r\n:600\r\n");
    assert_int_equal(read.code, SCRIPT_NOT_STARTED);
    assert_int_equal(read.opens_in_ms, 600);
    assert_int_equal(claim_reply("*3\r\n:4\r\n:3\r\n:4\r\n").code, SCRIPT_ENDED);
    assert_int_equal(claim_reply("*3\r\n:5\r\n:3\r\n:4\r\n").code, SCRIPT_PAUSED);
    assert_int_equal(claim_reply("*3\r\n:6\r\n:3\r\n:4\r\n").code, SCRIPT_STALE);
    assert_int_equal(claim_reply("*3\r\n:7\r\n:3\r\n:4294967295\r\n").code, SCRIPT_FENCED);
    assert_int_equal(claim_reply("*1\r\n:8\r\n").code, SCRIPT_NO_STATE);
}

static void any_other_reply_to_a_claim_is_nonsense(void **state) {
    (void)state;
    static const char *const bad[] = {
        "+OK\r\n",
        "-ERR x\r\n",
        ":0\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*1\r\n:0\r\n",
        "*2\r\n:2\r\n:3\r\n",
        "*4\r\n:2\r\n:3\r\n:4\r\n:5\r\n",
        "*3\r\n:9\r\n:3\r\n:4\r\n",
        "*3\r\n:-1\r\n:3\r\n:4\r\n",
        "*3\r\n$1\r\n2\r\n:3\r\n:4\r\n",
        "*3\r\n:2\r\n:-3\r\n:4\r\n",
        "*3\r\n:2\r\n:3\r\n:4294967296\r\n",
        "*3\r\n:2\r\n:3\r\n$-1\r\n",
        "*2\r\n:8\r\n:1\r\n",
        "*3\r\n:0\r\n:3\r\n:4\r\n",
        "*4\r\n:0\r\n:3\r\n:4\r\n:5\r\n",
        "*4\r\n:0\r\n:3\r\n:4\r\n$-1\r\n",
        "*4\r\n:0\r\n:3\r\n:4\r\n+1 1 1 1 c\r\n",
        "*4\r\n:0\r\n:3\r\n:4\r\n$9\r\n2 0 5 6 c\r\n",
        "*4\r\n:3\r\n:3\r\n:4\r\n:-1\r\n",
        "*4\r\n:3\r\n:3\r\n:4\r\n$1\r\n5\r\n",
        "*5\r\n:0\r\n:3\r\n:4\r\n$9\r\n2 1 5 6 c\r\n:1\r\n",
        "*4\r\n:1\r\n:3\r\n:4\r\n*0\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct claim_script_reply read = claim_reply(bad[i]);
        if (read.code != SCRIPT_NONSENSE || read.gen != 0)
            fail_msg("%s means %d", bad[i], read.code);
    }
}

static void what_is_no_reservation_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "1",
        "1 2",
        "1 2 3",
        "1 2 3 4",
        "1 2 3 4x",
        "a 2 3 4 c",
        "1 b 3 4 c",
        "1 2 c 4 d",
        "1  2 3 4 c",
        " 1 2 3 4 c",
        "-1 2 3 4 c",
        "+1 2 3 4 c",
        "4294967296 2 3 4 c",
        "1 4294967296 3 4 c",
        "1 2 9223372036854775808 4 c",
        "1 2 3 18446744073709551616 c",
        "1 2 3 99999999999999999999999999 c",
        "1.0 2 3 4 c",
        "1e3 2 3 4 c",
        "1 2 3 4 01234567890123456789012345678901234567890123456789012345678901234",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct script_reservation read;
        if (script_reservation_read(slice_str(bad[i]), &read)) fail_msg("%s was accepted", bad[i]);
    }
}

static void replies_of_an_install(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        enum install_code code;
        uint32_t value;
    } rows[] = {
        {"*2\r\n:1\r\n:7\r\n", INSTALL_DONE, 7},
        {"*2\r\n:0\r\n:9\r\n", INSTALL_NEWER, 9},
        {"*1\r\n:7\r\n", INSTALL_NOT_MASTER, 0},
        {"*2\r\n:9\r\n:17\r\n", INSTALL_DUPLICATE_SERIAL, 17},
        {"*2\r\n:10\r\n:3\r\n", INSTALL_WRONG_TYPE, 3},
        {"*1\r\n:1\r\n", INSTALL_NONSENSE, 0},
        {"*3\r\n:1\r\n:7\r\n:7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:2\r\n:7\r\n", INSTALL_PART, 7},
        {"*1\r\n:2\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:3\r\n:7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:8\r\n:7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:11\r\n:7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:-1\r\n:7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:7\r\n:7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:1\r\n:-7\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:1\r\n:4294967296\r\n", INSTALL_NONSENSE, 0},
        {"*2\r\n:1\r\n$1\r\n7\r\n", INSTALL_NONSENSE, 0},
        {"*0\r\n", INSTALL_NONSENSE, 0},
        {":1\r\n", INSTALL_NONSENSE, 0},
        {"-ERR\r\n", INSTALL_NONSENSE, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct install_script_reply read;
        struct redisReply *reply = redis_reply_of(slice_str(rows[i].bytes));
        assert_non_null(reply);
        install_script_read(reply, &read);
        if (read.code != rows[i].code || read.value != rows[i].value) fail_msg("%s", rows[i].bytes);
        freeReplyObject(reply);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_has_its_digest),
        cmocka_unit_test(a_claim_has_four_keys_and_three_words),
        cmocka_unit_test(an_install_names_every_holder),
        cmocka_unit_test(every_reply_of_a_claim),
        cmocka_unit_test(any_other_reply_to_a_claim_is_nonsense),
        cmocka_unit_test(what_is_no_reservation_is_refused),
        cmocka_unit_test(replies_of_an_install),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
