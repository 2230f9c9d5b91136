/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions end at their time, by log-out, and when newer ones need their place; and not before.
 */
#include "api/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base.h"

enum { LIFE = 1000 };

/* Bytes that count up: every id is another one. */
struct counting {
    struct random_source source;
    unsigned char next;
};

static void fill_counting(struct random_source *source, void *out, size_t bytes) {
    struct counting *counting = CONTAINER_OF(source, struct counting, source);
    memset(out, counting->next++, bytes);
}

static struct counting counting = {.source = {.fill = fill_counting}};

static struct sessions *no_sessions(void **state) {
    (void)state;
    static struct sessions sessions;
    sessions = (struct sessions){0};
    return &sessions;
}

static struct slice open_until(struct sessions *sessions, uint64_t now, uint64_t ends,
                               char id[SESSION_ID_BYTES]) {
    memcpy(id, session_open(sessions, &counting.source, now, ends)->id, SESSION_ID_BYTES);
    return slice_of(id, SESSION_ID_BYTES);
}

static void a_session_lasts_until_its_end(void **state) {
    struct sessions *sessions = no_sessions(state);
    char id[SESSION_ID_BYTES];
    struct slice found = open_until(sessions, 10, 10 + LIFE, id);
    for (size_t i = 0; i < found.n; i++) assert_non_null(strchr("0123456789abcdef", found.p[i]));
    struct session *session = session_find(sessions, found, 10 + LIFE - 1);
    assert_non_null(session);
    uint64_t number = session->number;
    assert_true(session_is_alive(sessions, number, 10 + LIFE - 1));
    assert_int_equal(session_count(sessions, 10 + LIFE - 1), 1);
    assert_null(session_find(sessions, found, 10 + LIFE));
    assert_false(session_is_alive(sessions, number, 10 + LIFE));
    assert_int_equal(session_count(sessions, 10 + LIFE), 0);
}

static void only_the_whole_id_is_one(void **state) {
    struct sessions *sessions = no_sessions(state);
    char id[SESSION_ID_BYTES], zeros[SESSION_ID_BYTES] = {0};
    struct slice whole = open_until(sessions, 1, LIFE, id);
    assert_null(session_find(sessions, slice_of(id, SESSION_ID_BYTES - 1), 2));
    assert_null(session_find(sessions, slice_of(id, 0), 2));
    /* A free place is no session of zeros. */
    assert_null(session_find(sessions, slice_of(zeros, sizeof zeros), 2));
    for (size_t i = 0; i < SESSION_ID_BYTES; i++) {
        id[i] ^= 1;
        assert_null(session_find(sessions, whole, 2));
        id[i] ^= 1;
    }
    assert_non_null(session_find(sessions, whole, 2));
}

static void an_ended_session_is_gone_and_others_stay(void **state) {
    struct sessions *sessions = no_sessions(state);
    char id[2][SESSION_ID_BYTES];
    struct slice first = open_until(sessions, 1, LIFE, id[0]);
    struct slice second = open_until(sessions, 1, LIFE, id[1]);
    assert_memory_not_equal(id[0], id[1], SESSION_ID_BYTES);
    uint64_t number = session_find(sessions, first, 2)->number;
    session_end(session_find(sessions, first, 2));
    assert_null(session_find(sessions, first, 2));
    assert_false(session_is_alive(sessions, number, 2));
    assert_non_null(session_find(sessions, second, 2));
}

static void the_one_that_would_end_first_makes_room(void **state) {
    struct sessions *sessions = no_sessions(state);
    char id[SESSIONS_MAX + 1][SESSION_ID_BYTES];
    for (size_t i = 0; i < SESSIONS_MAX; i++) open_until(sessions, 1, LIFE + i, id[i]);
    assert_int_equal(session_count(sessions, 2), SESSIONS_MAX);
    open_until(sessions, 2, 2 * LIFE, id[SESSIONS_MAX]);
    assert_int_equal(session_count(sessions, 2), SESSIONS_MAX);
    assert_null(session_find(sessions, slice_of(id[0], SESSION_ID_BYTES), 3));
    for (size_t i = 1; i <= SESSIONS_MAX; i++)
        assert_non_null(session_find(sessions, slice_of(id[i], SESSION_ID_BYTES), 3));
}

static void the_cookie_is_found_among_others(void **state) {
    (void)state;
    static const struct {
        const char *cookie, *id;
    } rows[] = {
        {"coupond_session=abc", "abc"},
        {"a=1; coupond_session=abc; b=2", "abc"},
        {"a=coupond_session=x; coupond_session=abc", "abc"},
        {"xcoupond_session=no;coupond_session=abc", "abc"},
        {"coupond_session=", ""},
        {"coupond_session", ""},
        {"a=1", ""},
        {"; ;", ""},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(
            slice_eq(session_id_of_cookie(slice_str(rows[i].cookie)), slice_str(rows[i].id)));
    struct slice none = session_id_of_cookie((struct slice){0});
    assert_int_equal(none.n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_lasts_until_its_end),
        cmocka_unit_test(only_the_whole_id_is_one),
        cmocka_unit_test(an_ended_session_is_gone_and_others_stay),
        cmocka_unit_test(the_one_that_would_end_first_makes_room),
        cmocka_unit_test(the_cookie_is_found_among_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
