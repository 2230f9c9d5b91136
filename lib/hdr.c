/* SPDX-License-Identifier: Apache-2.0
 *
 * Log-linear buckets. Called by the load generator, once for each answer, and by the benchmarks.
 */
#include "lib/hdr.h"

#include <math.h>

#include "lib/base.h"

static_assert(HDR_NS_MAX < UINT64_C(1) << HDR_VALUE_BITS, "the longest value has a bucket");

void hdr_init(struct hdr *hdr) {
    *hdr = (struct hdr){.min_ns = UINT64_MAX};
}

/* By how many bits a value is cut to keep its 11 leading ones: 0 below 2,048. */
static unsigned shift_of(uint64_t ns) {
    unsigned bits = 64 - (unsigned)__builtin_clzll(ns | 1);
    return bits > HDR_SUB_BITS + 1 ? bits - (HDR_SUB_BITS + 1) : 0;
}

/* The cut value is 0 to 2,047 when nothing is cut and 1,024 to 2,047 otherwise, so that each
 * further power of two continues 1,024 buckets after the one before. */
static size_t bucket_of(uint64_t ns) {
    unsigned shift = shift_of(ns);
    return ((size_t)shift << HDR_SUB_BITS) + (size_t)(ns >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_end_ns(size_t bucket) {
    size_t power = bucket >> HDR_SUB_BITS;
    unsigned shift = power > 1 ? (unsigned)(power - 1) : 0;
    uint64_t cut = bucket - ((size_t)shift << HDR_SUB_BITS);
    return ((cut + 1) << shift) - 1;
}

void hdr_record(struct hdr *hdr, uint64_t ns) {
    if (UNLIKELY(ns > HDR_NS_MAX)) {
        ns = HDR_NS_MAX;
        hdr->clamped++;
    }
    hdr->buckets[bucket_of(ns)]++;
    hdr->count++;
    hdr->sum_ns += (double)ns;
    if (ns < hdr->min_ns) hdr->min_ns = ns;
    if (ns > hdr->max_ns) hdr->max_ns = ns;
}

void hdr_merge(struct hdr *into, const struct hdr *from) {
    for (size_t i = 0; i < HDR_BUCKETS; i++) into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->clamped += from->clamped;
    into->sum_ns += from->sum_ns;
    if (from->min_ns < into->min_ns) into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns) into->max_ns = from->max_ns;
}

uint64_t hdr_count(const struct hdr *hdr) {
    return hdr->count;
}

uint64_t hdr_min_ns(const struct hdr *hdr) {
    return hdr->count == 0 ? 0 : hdr->min_ns;
}

uint64_t hdr_max_ns(const struct hdr *hdr) {
    return hdr->max_ns;
}

double hdr_mean_ns(const struct hdr *hdr) {
    return hdr->count == 0 ? 0 : hdr->sum_ns / (double)hdr->count;
}

/* 99.9 % of 1,000 is the 999th although 99.9 / 100 * 1000 is a hair more than 999: what is over by
 * less than rounding can explain does not count. */
static uint64_t rank_of(const struct hdr *hdr, double percent) {
    double exact = percent / 100 * (double)hdr->count;
    double rank = ceil(exact - exact * 1e-12);
    if (rank < 1) return 1;
    return rank >= (double)hdr->count ? hdr->count : (uint64_t)rank;
}

uint64_t hdr_percentile_ns(const struct hdr *hdr, double percent) {
    ASSERT(percent >= 0 && percent <= 100);
    if (hdr->count == 0) return 0;
    if (percent == 0) return hdr->min_ns;
    uint64_t rank = rank_of(hdr, percent), seen = 0;
    for (size_t i = 0; i < HDR_BUCKETS; i++) {
        seen += hdr->buckets[i];
        if (seen >= rank) return bucket_end_ns(i) < hdr->max_ns ? bucket_end_ns(i) : hdr->max_ns;
    }
    ASSERT(seen == hdr->count);
    return hdr->max_ns;
}
