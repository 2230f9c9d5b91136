/* SPDX-License-Identifier: Apache-2.0
 *
 * A histogram of latencies in fixed memory, after the idea of HdrHistogram (Gil Tene): the buckets
 * are linear within each power of two, so that every value from 0 to one hour is kept to three
 * significant digits (to less than one part in 1,024), and recording is two shifts and an addition.
 *
 *     values in ns        0 … 2,047   2,048 … 4,095   4,096 … 8,191   …   up to one hour and over
 *     width of a bucket       1             2               4         …   2^31
 *     buckets               2,048         1,024           1,024       …   33,792 in all
 *
 * No locks: each thread records into its own and one of them merges them all at the end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    HDR_SUB_BITS = 10,   /* 1,024 buckets in each power of two */
    HDR_VALUE_BITS = 42, /* one hour is a little less than 2^42 ns */
    HDR_BUCKETS = (HDR_VALUE_BITS - HDR_SUB_BITS + 1) << HDR_SUB_BITS,
};

#define HDR_NS_MAX UINT64_C(3600000000000) /* one hour */

/* About 264 KiB, the same for ever: on the heap or static, not on a small stack. */
struct hdr {
    uint64_t count;
    uint64_t clamped; /* values over HDR_NS_MAX, recorded as HDR_NS_MAX */
    uint64_t min_ns, max_ns;
    double sum_ns;
    uint64_t buckets[HDR_BUCKETS];
};

/* Makes it empty; also to use it again. */
void hdr_init(struct hdr *hdr);

/* Adds one value. A value over one hour counts as one hour. */
void hdr_record(struct hdr *hdr, uint64_t ns);

/* Adds everything that `from` holds to `into`. */
void hdr_merge(struct hdr *into, const struct hdr *from);

uint64_t hdr_count(const struct hdr *hdr);

/* The smallest, the largest and the mean value, exact (the mean to the rounding of a double); 0
 * while nothing is recorded. */
uint64_t hdr_min_ns(const struct hdr *hdr);
uint64_t hdr_max_ns(const struct hdr *hdr);
double hdr_mean_ns(const struct hdr *hdr);

/* The smallest value that at least `percent` (0 to 100) of all recorded values do not exceed: the
 * nearest rank, as the upper end of its bucket and never more than the maximum, so at most 0.1 %
 * above the exact value and never below it. 0 % is the minimum, 100 % the maximum; 0 while nothing
 * is recorded. */
uint64_t hdr_percentile_ns(const struct hdr *hdr, double percent);
