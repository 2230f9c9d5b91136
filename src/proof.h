/* SPDX-License-Identifier: Apache-2.0
 *
 * What checks read, put together: verify/ knows no journals and no SQLite, and gets the functions
 * that do from here. For `coupond verify`, and for the server that verifies itself (serve.c).
 */
#pragma once

#include <limits.h>

#include "claim/decisions.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"
#include "record/sqlite_read.h"
#include "verify/verify.h"

struct proof {
    struct decisions_folder log;
    struct sqlite_reader copy;
    char copy_path[PATH_MAX];
    struct verify_sources sources;
};

/* The sources that --data-dir and --sqlite name; `options` must live as long. 0, or a negative
 * errno with the reason. */
int proof_init(struct proof *proof, const struct options *options, struct err *err) MUST_CHECK;
void proof_deinit(struct proof *proof);

/* Where the copy is: a bare name of --sqlite is in the data folder. "" when there is none. */
int proof_copy_path(const struct options *options, char out[PATH_MAX], struct err *err) MUST_CHECK;

/* Runs `coupond verify`. */
int proof_command(const struct options *options, int words, char **word);
