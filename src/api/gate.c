/* SPDX-License-Identifier: Apache-2.0 */
#include "api/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const rate_names[LIMITS] = {
    [LIMIT_ADDRESS] = "--limit-address-rate",
    [LIMIT_USER] = "--limit-user-rate",
};

static int read_limits(struct gate *gate, const struct gate_options *options, struct err *err) {
    const double rate_min = 1e6 / GCRA_INTERVAL_US_MAX;
    for (size_t i = 0; i < LIMITS; i++) {
        double rate = options->limits[i].rate;
        if (rate == 0) continue;
        if (rate < rate_min)
            return err_set(err, -EINVAL, "%s: %g is not 0, nor %g or more", rate_names[i], rate,
                           rate_min);
        gate->rates[i] = (struct gcra_rate){.interval_us = (uint32_t)(1e6 / rate),
                                            .burst = options->limits[i].burst};
        gate->is_limiting = true;
    }
    return 0;
}

static int read_lists(struct gate *gate, const struct gate_options *options, struct err *err) {
    struct slice bad;
    if (!proxies_parse(slice_str(options->trusted_proxies), &gate->proxies, &bad))
        return gate->proxies.count == PROXIES_MAX
                   ? err_set(err, -EINVAL, "--trusted-proxies: more than %d", PROXIES_MAX)
                   : err_set(err, -EINVAL,
                             "--trusted-proxies: \"%.*s\" is not an address, nor a range like "
                             "10.0.0.0/8 or 2001:db8::/32 without bits behind its prefix",
                             (int)size_min(bad.n, 80), bad.p);
    if (!origins_parse(slice_str(options->cors_origins), &gate->origins, &bad))
        return gate->origins.count == ORIGINS_MAX
                   ? err_set(err, -EINVAL, "--cors-origin: more than %d", ORIGINS_MAX)
                   : err_set(err, -EINVAL,
                             "--cors-origin: \"%.*s\" is not an origin as browsers send it, like "
                             "https://shop.example: no path, no capitals, no default port",
                             (int)size_min(bad.n, 80), bad.p);
    return 0;
}

struct gate *gate_new(const struct gate_options *options, struct err *err) {
    struct gate *gate = memory_needed(calloc(1, sizeof *gate));
    int code = read_lists(gate, options, err);
    if (code == 0) code = read_limits(gate, options, err);
    if (code == 0) {
        gate->limits_loopback = options->limits_loopback;
        return gate;
    }
    free(gate);
    return NULL;
}

void gate_free(struct gate *gate) {
    while (gate != NULL) {
        struct gate *older = gate->older;
        free(gate);
        gate = older;
    }
}

struct gate *gate_follow(struct gate *gate, struct gate *before) {
    const size_t from = offsetof(struct gate, proxies);
    /* Made of zeros, and written field by field in the same order: bytes can be compared. */
    bool is_same = before != NULL && memcmp((const char *)gate + from, (const char *)before + from,
                                            sizeof *gate - from) == 0;
    if (is_same) {
        free(gate);
        return before;
    }
    gate->older = before;
    return gate;
}
