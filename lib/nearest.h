/* SPDX-License-Identifier: Apache-2.0
 *
 * "Did you mean …?": how far apart two short words are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { NEAREST_BYTES_MAX = 63 };

/* Letters to insert, remove, replace or swap with their neighbour to make `b` of `a` (optimal
 * string alignment); 1 when one begins with three or more letters that are the whole of the other.
 * Words longer than NEAREST_BYTES_MAX are infinitely far (SIZE_MAX). */
size_t nearest_distance(const char *a, const char *b);

/* Whether `b` is near enough to `a` at this distance to be what a person meant. */
bool nearest_is_near(const char *a, size_t distance);
