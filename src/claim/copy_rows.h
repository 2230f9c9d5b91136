/* SPDX-License-Identifier: Apache-2.0
 *
 * What a decided record changes in the copy. Below this line of the tree nobody knows records,
 * judges or keys (record/store.h): this file is where they end.
 */
#pragma once

#include <stdbool.h>

#include "claim/coupon_code.h"
#include "claim/view.h"
#include "lib/base.h"
#include "log/record.h"
#include "record/store.h"

/* Derives the codes that rows carry. One thread uses it. */
struct copy_rows;
struct copy_rows *copy_rows_new(const struct code_keys *keys) MUST_CHECK; /* NULL: no memory */
void copy_rows_free(struct copy_rows *rows);

/* True, and the change, when `record`, which `view` has just applied with `verdict`, changes rows.
 * The code of a coupon whose key is not here is left out. */
bool copy_rows_change(struct copy_rows *rows, const struct view *view, const struct record *record,
                      enum verdict verdict, struct store_change *change);
