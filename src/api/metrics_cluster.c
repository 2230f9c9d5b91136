/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics of cluster mode. Without it they have no samples.
 */
#include "api/metrics_write.h"
#include "claim/cluster.h"
#include "record/audit.h"

static void add_counter(struct scrape *scrape, size_t offset) {
    const struct cluster *cluster = scrape->server->shared->cluster;
    if (cluster == NULL) return;
    const char *counts = (const char *)cluster_counts(cluster);
    metrics_add_plain(scrape,
                      counter_read((const struct counter *)(const void *)(counts + offset)));
}

void metrics_write_cluster_published(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, published));
}
void metrics_write_cluster_relayed(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, relayed));
}
void metrics_write_cluster_winners(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, winners));
}
void metrics_write_cluster_again(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, claims_again));
}
void metrics_write_cluster_fences(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, fences));
}
void metrics_write_cluster_installs(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, installs));
}
void metrics_write_cluster_archived(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, archived));
}
void metrics_write_cluster_not_records(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, not_records));
}
void metrics_write_redis_slots(struct scrape *scrape) {
    add_counter(scrape, offsetof(struct cluster_counts, slots_covered));
}

void metrics_write_cluster_tail_lag(struct scrape *scrape) {
    const struct cluster *cluster = scrape->server->shared->cluster;
    if (cluster == NULL) return;
    uint64_t seq = counter_read(&cluster_counts(cluster)->seq);
    uint64_t end_seq = counter_read(&cluster_counts(cluster)->end_seq);
    metrics_add_plain(scrape, end_seq > seq ? end_seq - seq : 0);
}

void metrics_write_cluster_tail_age(struct scrape *scrape) {
    const struct cluster *cluster = scrape->server->shared->cluster;
    if (cluster == NULL) return;
    uint64_t age_ns = cluster_tail_age_ns(cluster, scrape->server->shared->clock);
    metrics_add_real(&scrape->text, scrape->metric, NULL, (double)age_ns / 1e9);
}

static void add_redis(struct scrape *scrape, size_t offset) {
    const struct cluster *cluster = scrape->server->shared->cluster;
    if (cluster == NULL) return;
    const char *counts = (const char *)cluster_redis_counts(cluster);
    metrics_add_plain(scrape,
                      counter_read((const struct counter *)(const void *)(counts + offset)));
}

void metrics_write_redis_replies(struct scrape *scrape) {
    add_redis(scrape, offsetof(struct redis_counts, replies));
}
void metrics_write_redis_writes(struct scrape *scrape) {
    add_redis(scrape, offsetof(struct redis_counts, writes));
}
void metrics_write_redis_retries(struct scrape *scrape) {
    add_redis(scrape, offsetof(struct redis_counts, retries));
}
void metrics_write_redis_lost(struct scrape *scrape) {
    add_redis(scrape, offsetof(struct redis_counts, connections_lost));
}

static void add_audit(struct scrape *scrape, size_t offset) {
    const struct audit *audit = scrape->server->shared->audit;
    struct audit_counts counts;
    if (audit == NULL) return;
    audit_count(audit, &counts);
    metrics_add_plain(scrape, *(const uint64_t *)(const void *)((const char *)&counts + offset));
}

void metrics_write_audit_lines(struct scrape *scrape) {
    add_audit(scrape, offsetof(struct audit_counts, lines));
}
void metrics_write_audit_lost(struct scrape *scrape) {
    add_audit(scrape, offsetof(struct audit_counts, lost));
}
void metrics_write_audit_failures(struct scrape *scrape) {
    add_audit(scrape, offsetof(struct audit_counts, failures));
}
