/* SPDX-License-Identifier: Apache-2.0
 *
 * What `coupond consume` tells whoever looks on: /health, /livez, /readyz and /metrics.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "api/monitor.h"
#include "claim/consumer.h"
#include "verify/reconcile_thread.h"

/* What its pages are made of. The consumer's thread writes the words, the monitor's reads them. */
struct consume_pages {
    const struct consumer *consumer;
    const char *topic, *database;
    const struct reconcile_thread *verifier; /* NULL without one */
    uint64_t started_ns;
    atomic_uint_least64_t end_seq;      /* last record known to be in the log */
    atomic_uint_least64_t caught_up_ns; /* when all of the log was last seen recorded */
    atomic_bool is_assigned, is_stopping;
};

extern const struct monitor_page consume_page_table[];
extern const size_t consume_page_count;

/* Records that are missing in the database, and for how long something has been; 0 while the log is
 * another's. */
uint64_t consume_lag_records(const struct consume_pages *pages);
double consume_lag_seconds(const struct consume_pages *pages);
