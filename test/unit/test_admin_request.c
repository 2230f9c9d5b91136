/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of admin writes: what is good becomes a record that the codec takes, every other is
 * refused with the field at fault.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/admin_request.h"
#include "lib/base.h"

#define GOOD "\"event_id\":\"e\",\"total_stock\":10"

static const struct {
    const char *text;
    int status; /* 0: taken */
    const char *field;
} rows[] = {
    {"{" GOOD "}", 0, NULL},
    {"{" GOOD ",\"starts_at\":null,\"ends_at\":null,\"code\":null}", 0, NULL},
    {"{" GOOD ",\"starts_at\":\"2026-12-01T09:00:00Z\",\"ends_at\":\"2026-12-01T10:00:00+09:00\"}",
     422, "ends_at"},
    {"{" GOOD ",\"starts_at\":\"2026-12-01T09:00:00Z\",\"ends_at\":\"2026-12-01T19:00:00+09:00\"}",
     0, NULL},
    {"{" GOOD ",\"operator\":\"kim\",\"reason\":\"drop \xed\x95\x9c\"}", 0, NULL},
    {"{" GOOD ",\"code\":{\"prefix\":\"DROP-\",\"alphabet\":\"0123456789\",\"length\":25}}", 0,
     NULL},
    {"{" GOOD ",\"code\":{\"length\":20}}", 0, NULL},
    {"", 400, NULL},
    {"[]", 400, NULL},
    {"{" GOOD ",\"event_id\":\"f\"}", 400, NULL},
    {"{\"total_stock\":10}", 422, "event_id"},
    {"{\"event_id\":7,\"total_stock\":10}", 422, "event_id"},
    {"{\"event_id\":\"e/\",\"total_stock\":10}", 422, "event_id"},
    {"{\"event_id\":\"e\"}", 422, "total_stock"},
    {"{\"event_id\":\"e\",\"total_stock\":0}", 422, "total_stock"},
    {"{\"event_id\":\"e\",\"total_stock\":-1}", 422, "total_stock"},
    {"{\"event_id\":\"e\",\"total_stock\":1.5}", 422, "total_stock"},
    {"{\"event_id\":\"e\",\"total_stock\":\"10\"}", 422, "total_stock"},
    {"{\"event_id\":\"e\",\"total_stock\":1000001}", 422, "total_stock"},
    {"{" GOOD ",\"starts_at\":\"tomorrow\"}", 422, "starts_at"},
    {"{" GOOD ",\"ends_at\":5}", 422, "ends_at"},
    {"{" GOOD ",\"code\":\"x\"}", 422, "code"},
    {"{" GOOD ",\"code\":{\"length\":3}}", 422, "code"},
    {"{" GOOD ",\"code\":{\"length\":\"3\"}}", 422, "code.length"},
    {"{" GOOD ",\"code\":{\"length\":400}}", 422, "code.length"},
    {"{" GOOD ",\"code\":{\"alphabet\":\"aab\"}}", 422, "code"},
    {"{" GOOD ",\"code\":{\"prefix\":\"12345678901234567\"}}", 422, "code.prefix"},
    {"{" GOOD ",\"code\":{\"prefix\":\"a b\"}}", 422, "code"},
    {"{" GOOD ",\"reason\":\"a\\nb\"}", 422, "reason"},
    {"{" GOOD ",\"reason\":\"a\\u007fb\"}", 422, "reason"},
    {"{" GOOD ",\"reason\":\"a\\u0085b\"}", 422, "reason"},
    {"{" GOOD ",\"operator\":\"\xc2\x9f\"}", 422, "operator"},
    {"{" GOOD ",\"operator\":\"\xc2\xa0\"}", 0, NULL},
    {"{" GOOD ",\"operator\":[]}", 422, "operator"},
    {"{" GOOD ",\"reason\":\"a\xc2\x84z\"}", 422, "reason"},
    {"{" GOOD ",\"operator\":\"\\u009f\"}", 422, "operator"},
    {"{" GOOD ",\"operator\":\"\\u00a0\"}", 0, NULL},
    {"{" GOOD ",\"starts_at\":\"1969-12-31T23:59:59Z\"}", 422, "starts_at"},
    {"{" GOOD ",\"starts_at\":\"1970-01-01T00:00:00Z\"}", 0, NULL},
    {"{" GOOD ",\"ends_at\":\"0001-01-01T00:00:00Z\"}", 422, "ends_at"},
};

static void each_row_is_taken_or_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct admin_request request;
        struct record record;
        _Alignas(8) char encoded[RECORD_BYTES_MAX];
        bool is_taken = admin_request_read(&request, slice_str(rows[i].text)) &&
                        admin_request_open(&request, 1, &record);
        if (is_taken != (rows[i].status == 0)) fail_msg("%s: %s", rows[i].text, request.detail);
        if (is_taken) {
            record.ms = 5;
            assert_true(record_encode(encoded, &record) > 0);
        } else {
            assert_int_equal(request.status, rows[i].status);
            assert_true(strlen(request.detail) > 10);
            if (rows[i].field == NULL)
                assert_null(request.field);
            else
                assert_string_equal(request.field, rows[i].field);
        }
        admin_request_free(&request);
    }
}

static void what_is_told_arrives(void **state) {
    (void)state;
    struct admin_request request;
    struct record record;
    assert_true(admin_request_read(
        &request, SLICE("{" GOOD ",\"ends_at\":\"1970-01-01T00:00:01.5Z\",\"reason\":\"why\","
                        "\"code\":{\"prefix\":\"P\"}}")));
    assert_true(admin_request_open(&request, 77, &record));
    assert_int_equal(record.type, RECORD_OPEN);
    assert_int_equal(record.open.stock, 10);
    assert_int_equal(record.open.starts_ms, TIME_MS_MIN);
    assert_int_equal(record.open.ends_ms, 1500);
    assert_int_equal(record.open.key_id, 77);
    assert_int_equal(record.open.code.length, 16);
    assert_true(slice_eq(record.open.code.prefix, SLICE("P")));
    assert_true(slice_eq(record.event_id, SLICE("e")));
    assert_true(slice_eq(record.operator, SLICE("admin")));
    assert_true(slice_eq(record.reason, SLICE("why")));
    admin_request_free(&request);
}

static const struct {
    enum record_type type;
    const char *text;
    const char *field; /* NULL: taken */
} changes[] = {
    {RECORD_RESTOCK, "{\"total_stock\":5}", NULL},
    {RECORD_RESTOCK, "{}", "total_stock"},
    {RECORD_RESTOCK, "{\"total_stock\":0}", "total_stock"},
    {RECORD_PAUSE, "{}", NULL},
    {RECORD_RESUME, "{}", NULL},
    {RECORD_CLOSE, "{\"reason\":\"over\"}", NULL},
    {RECORD_CLOSE, "{\"reason\":7}", "reason"},
    {RECORD_RETURN, "{\"user_id\":\"u\"}", NULL},
    {RECORD_RETURN, "{}", "user_id"},
    {RECORD_RETURN, "{\"user_id\":\"u v\"}", "user_id"},
    {RECORD_RESCHEDULE, "{}", NULL},
    {RECORD_RESCHEDULE, "{\"starts_at\":\"1970-01-01T00:00:03Z\"}", "ends_at"},
    {RECORD_RESCHEDULE, "{\"starts_at\":\"1970-01-01T00:00:03Z\",\"ends_at\":null}", NULL},
};

static void each_change_is_taken_or_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        struct admin_request request;
        struct record record = {.event_id = SLICE("e"),
                                .reschedule = {.starts_ms = 1000, .ends_ms = 2000}};
        bool is_taken = admin_request_read(&request, slice_str(changes[i].text)) &&
                        admin_request_change(&request, changes[i].type, &record);
        if (is_taken != (changes[i].field == NULL)) fail_msg("%s", changes[i].text);
        assert_int_equal(record.type, changes[i].type);
        if (!is_taken) assert_string_equal(request.field, changes[i].field);
        admin_request_free(&request);
    }
}

static void a_reschedule_keeps_what_it_does_not_name(void **state) {
    (void)state;
    struct admin_request request;
    struct record record = {.reschedule = {.starts_ms = 1000, .ends_ms = 2000}};
    assert_true(admin_request_read(&request, SLICE("{\"ends_at\":\"1970-01-01T00:00:09Z\"}")));
    assert_true(admin_request_change(&request, RECORD_RESCHEDULE, &record));
    admin_request_free(&request);
    assert_int_equal(record.reschedule.starts_ms, 1000);
    assert_int_equal(record.reschedule.ends_ms, 9000);
    assert_true(admin_request_read(&request, SLICE("{\"starts_at\":null}")));
    assert_true(admin_request_change(&request, RECORD_RESCHEDULE, &record));
    admin_request_free(&request);
    assert_int_equal(record.reschedule.starts_ms, TIME_MS_MIN);
    assert_int_equal(record.reschedule.ends_ms, 9000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_taken_or_refused),
        cmocka_unit_test(what_is_told_arrives),
        cmocka_unit_test(each_change_is_taken_or_refused),
        cmocka_unit_test(a_reschedule_keeps_what_it_does_not_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
