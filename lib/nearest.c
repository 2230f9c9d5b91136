/* SPDX-License-Identifier: Apache-2.0
 *
 * The edit distance, row by row over a table of three rows. Called by the options, for their error
 * messages, and by whoever names things to people.
 */
#include "lib/nearest.h"

#include <stdint.h>
#include <string.h>

#include "lib/base.h"

enum { PREFIX_BYTES_MIN = 3 };

static bool is_prefix(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    size_t bytes = size_min(a_bytes, b_bytes);
    return bytes >= PREFIX_BYTES_MIN && a_bytes != b_bytes && memcmp(a, b, bytes) == 0;
}

size_t nearest_distance(const char *a, const char *b) {
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    if (a_bytes > NEAREST_BYTES_MAX || b_bytes > NEAREST_BYTES_MAX) return SIZE_MAX;
    if (is_prefix(a, a_bytes, b, b_bytes)) return 1;

    /* Of a[..i) and b[..j): rows i, i - 1 and i - 2, in turn. */
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *above_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = size_min(size_min(above[j], row[j - 1]) + 1, above[j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = size_min(row[j], above_that[j - 2] + 1);
            }
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

bool nearest_is_near(const char *a, size_t distance) {
    return distance <= 1 + strlen(a) / 4;
}
