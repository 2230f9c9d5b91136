/* SPDX-License-Identifier: Apache-2.0
 *
 * The bodies of admin writes, from JSON to a record, every field checked against its rule.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "lib/slice.h"
#include "log/record.h"

/* A body read, and what is wrong with it. Slices of records made from it live until _free. */
struct admin_request {
    json_t *json;
    int status;        /* 400 or 422 when refused */
    const char *code;  /* "bad_json" or "invalid_field" */
    const char *field; /* at fault; NULL for bad JSON */
    char detail[320];
};

/* False when the text is not a JSON object. */
bool admin_request_read(struct admin_request *request, struct slice text);
void admin_request_free(struct admin_request *request);

/* Fills an OPEN record from {event_id,total_stock,starts_at?,ends_at?,code?,operator?,reason?}. */
bool admin_request_open(struct admin_request *request, uint64_t key_id, struct record *record);

/* Fills a control record of `type` (RESTOCK, RESCHEDULE, PAUSE, RESUME, CLOSE, RETURN) but for its
 * event_id. A RESCHEDULE keeps the instants that `record` holds where the body names none; null
 * takes one away. The serial of a RETURN is the caller's to fill in. */
bool admin_request_change(struct admin_request *request, enum record_type type,
                          struct record *record);

/* operator and reason, which every write may carry; the operator is "admin" unless told. */
bool admin_request_who(struct admin_request *request, struct record *record);
