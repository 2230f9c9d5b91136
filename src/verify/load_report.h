/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict in words for people and as JSON for programs. The object of --json:
 *
 *     {"verified":true, "verdict":"verified: 1000 issued to 1000 users, export equal",
 *      "url":…, "event":…, "seed":…, "user_prefix":…, "users":…, "connections":…, "pipeline":…,
 *      "threads":…, "rate":…,                      rate 0: closed loop
 *      "interrupted":false, "seconds":1.234, "requests_per_second":…,
 *      "generator_cpu_us_per_request":…,
 *      "requests":{"sent":…,"answered":…,"resent":…,"unanswered":…},
 *      "outcomes":{"issued":…,"already_issued":…,"sold_out_final":…,…},   one for each enum told
 *      "users_told":{"asked":…,"coupon":…,"sold_out_final":…,"other_no":…,"undecided":…,
 *                    "held_before":…},
 *      "latency_us":{"all":{"count":…,"mean":…,"p50":…,"p90":…,"p99":…,"p99_9":…,"max":…},
 *                    "issued":{…},"others":{…}},
 *      "errors":{"connect":…,"reset":…,"timeout":…,"protocol":…,"status":…},
 *      "stock":{"total":…,"holders_before":…,"holders_after":…,"remaining_after":…,
 *               "status_after":…},                  null where it could not be read
 *      "export":{"equal":true,"text":…,"rows":…,"foreign":…,"unheard":…},
 *      "findings":[{"kind":"serial_twice","means":…,"count":…,"evidence":["…"]}]}
 */
#pragma once

#include <stdio.h>

#include "lib/base.h"
#include "lib/err.h"
#include "verify/load_verdict.h"

/* Nothing is wrong and every request was answered. */
bool load_report_is_good(const struct load_verdict *verdict);
void load_report_print(const struct load_verdict *verdict, FILE *out);
/* 0 or a negative errno with a sentence. */
int load_report_write_json(const struct load_verdict *verdict, const char *path,
                           struct err *err) MUST_CHECK;
