/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base.h"
#include "record/mariadb_error.h"

static void fine(void **state) {
    (void)state;
    assert_int_equal(maria_class_of(0), MARIA_FINE);
}

/* Each of these passes by itself: a record is never dropped for one. */
static void transient(void **state) {
    (void)state;
    static const unsigned numbers[] = {3,    1021, 1040, 1053, 1114, 1180, 1205, 1213, 1290,
                                       1317, 1792, 1927, 2002, 2003, 2006, 2013, 2055};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(maria_class_of(numbers[i]), MARIA_TRANSIENT);
}

static void conflict(void **state) {
    (void)state;
    static const unsigned numbers[] = {1048, 1062, 1264, 1406, 1451, 1452, 1690, 3819, 4025};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(maria_class_of(numbers[i]), MARIA_CONFLICT);
}

/* No such table, column, right, user, database, syntax; and whatever nobody has heard of. */
static void fatal(void **state) {
    (void)state;
    static const unsigned numbers[] = {1044, 1045, 1049, 1054, 1064, 1142, 1146, 2026, 65535};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(maria_class_of(numbers[i]), MARIA_FATAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(fine), cmocka_unit_test(transient),
                                       cmocka_unit_test(conflict), cmocka_unit_test(fatal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
