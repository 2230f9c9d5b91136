/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server found when it verified itself. Without a verifier all is 0.
 */
#include "api/metrics_write.h"

static const struct reconcile_counts *counts(const struct scrape *scrape) {
    static const struct reconcile_counts none;
    const struct reconcile_thread *verifier = scrape->server->shared->verifier;
    return verifier == NULL ? &none : reconcile_thread_counts(verifier);
}

void metrics_write_verify_findings(struct scrape *scrape) {
    for (int i = CHECK_R1; i <= CHECK_R11; i++)
        if (!check_is_of_verify((enum check)i))
            METRICS_ADD(scrape, counter_read(&counts(scrape)->findings[i]),
                        slice_str(check_id((enum check)i)));
}

void metrics_write_verify_passes(struct scrape *scrape) {
    metrics_add_plain(scrape, counter_read(&counts(scrape)->passes));
}

void metrics_write_verify_failures(struct scrape *scrape) {
    metrics_add_plain(scrape, counter_read(&counts(scrape)->failures));
}

void metrics_write_verify_last(struct scrape *scrape) {
    metrics_add_real(&scrape->text, scrape->metric, NULL,
                     (double)counter_read(&counts(scrape)->last_ms) / 1e3);
}

void metrics_write_verify_duration(struct scrape *scrape) {
    metrics_add_real(&scrape->text, scrape->metric, NULL,
                     (double)counter_read(&counts(scrape)->last_ns) / 1e9);
}

void metrics_write_verify_offset(struct scrape *scrape) {
    metrics_add_plain(scrape, counter_read(&counts(scrape)->seq));
}
