/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the server, read strictly: the status line, the headers that matter, Content-Length,
 * and where the body is (load_told.h reads that). The load generator reads most answers by
 * comparing them with the bytes of the last one; this is what reads all the others.
 *
 * Pure: no I/O; slices point into the bytes given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/slice.h"

enum { ANSWER_HEAD_BYTES_MAX = 16384, ANSWER_BODY_BYTES_MAX = 65536 };

enum answer_parse {
    ANSWER_DONE,
    ANSWER_MORE, /* cut short */
    ANSWER_BAD,  /* not HTTP as agreed: nothing behind it can be trusted */
};

struct answer {
    int status;
    bool closes;      /* Connection: close */
    bool is_replayed; /* Idempotent-Replayed: true */
    bool is_json;     /* Content-Type: application/json */
    bool is_problem;  /* Content-Type: application/problem+json */
    bool has_allow;
    int64_t retry_after_s; /* -1 when absent */
    struct slice body;
    size_t bytes; /* of head and body */
};

/* Reads one answer from the start of `bytes`. On BAD `*problem` says what is wrong. */
enum answer_parse answer_parse(struct slice bytes, struct answer *answer, const char **problem);
