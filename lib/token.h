/* SPDX-License-Identifier: Apache-2.0
 *
 * The secret word that a client shows to a server, from where a person would put it.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"

enum { TOKEN_BYTES_MAX = 1024 };

/* Where to look, in this order; what is NULL or empty is not looked at. */
struct token_source {
    const char *file;   /* its first line; must be readable when given */
    const char *text;   /* the token itself */
    const char *folder; /* of a server on this machine: its file `name` */
    const char *name;
};

/* Finds the token. 0, or a negative errno with a sentence (-ENOENT: nothing says what it is). */
int token_find(const struct token_source *source, char token[TOKEN_BYTES_MAX],
               struct err *err) MUST_CHECK;
