/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a request is refused: every reason once, with its status, its stable code and a sentence for
 * people. For the parsers of lib/http only; everybody else sees struct http_refusal.
 */
#pragma once

#include "lib/http/request.h"

/* name, status, code, text */
#define HTTP_REFUSALS(ROW)                                                                         \
    ROW(BAD_REQUEST_LINE, 400, "bad_request_line",                                                 \
        "The request line must be a method, one space, a target, one space and a version.")        \
    ROW(BAD_METHOD, 400, "bad_method", "The method must be a token.")                              \
    ROW(BAD_TARGET, 400, "bad_target",                                                             \
        "The target must be a path, an http or https URL, or * for OPTIONS, in visible ASCII.")    \
    ROW(BAD_VERSION, 400, "bad_version", "The version must be HTTP/1.0 or HTTP/1.1.")              \
    ROW(UNSUPPORTED_VERSION, 505, "unsupported_version", "Only HTTP/1.0 and HTTP/1.1 are spoken.") \
    ROW(REQUEST_LINE_TOO_LONG, 414, "request_line_too_long", "The request line is too long.")      \
    ROW(FIELDS_TOO_LARGE, 431, "fields_too_large", "The header fields are too large.")             \
    ROW(TOO_MANY_FIELDS, 431, "too_many_fields", "There are too many header fields.")              \
    ROW(BAD_LINE_END, 400, "bad_line_end",                                                         \
        "Lines must end in CR LF, and neither may stand alone.")                                   \
    ROW(EMPTY_LINES, 400, "empty_lines", "There are too many empty lines before the request.")     \
    ROW(CONTROL_BYTE, 400, "control_byte", "The head of the request has a control byte in it.")    \
    ROW(FOLDED_FIELD, 400, "folded_field", "A header line must not begin with a space or a tab.")  \
    ROW(SPACE_IN_FIELD_NAME, 400, "space_in_field_name",                                           \
        "There must be no space in or behind the name of a header field.")                         \
    ROW(BAD_FIELD_NAME, 400, "bad_field_name",                                                     \
        "A header line must be a name that is a token, a colon and a value.")                      \
    ROW(REPEATED_FIELD, 400, "repeated_field",                                                     \
        "A header field that may be sent once was sent more than once.")                           \
    ROW(MISSING_HOST, 400, "missing_host", "An HTTP/1.1 request must have a Host field.")          \
    ROW(REPEATED_HOST, 400, "repeated_host", "There must be one Host field.")                      \
    ROW(BAD_HOST, 400, "bad_host", "The Host field must be a host and perhaps a port.")            \
    ROW(BAD_LENGTH, 400, "bad_length", "Content-Length must be one decimal number.")               \
    ROW(REPEATED_LENGTH, 400, "repeated_length", "There must be one Content-Length field.")        \
    ROW(CONFLICTING_LENGTH, 400, "conflicting_length",                                             \
        "Content-Length and Transfer-Encoding must not be sent together.")                         \
    ROW(UNKNOWN_TRANSFER_CODING, 400, "unknown_transfer_coding",                                   \
        "The only transfer coding is chunked, once, in HTTP/1.1.")                                 \
    ROW(UNKNOWN_EXPECTATION, 417, "unknown_expectation", "The only expectation is 100-continue.")  \
    ROW(BODY_TOO_LARGE, 413, "body_too_large", "The body is too large.")                           \
    ROW(CHUNKS_TOO_SMALL, 413, "chunks_too_small",                                                 \
        "The chunks hold too little content for their framing.")                                   \
    ROW(BAD_CHUNK, 400, "bad_chunk", "The chunked body is malformed.")

#define HTTP_REFUSAL_NAME(name, status, code, text) REFUSED_##name,
enum http_refused { HTTP_REFUSALS(HTTP_REFUSAL_NAME) };
#undef HTTP_REFUSAL_NAME

/* By enum http_refused. */
extern const struct http_refusal http_refusals[];

/* Parsers return NULL when all is well. */
#define HTTP_REFUSE(name) (&http_refusals[REFUSED_##name])
