/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster_proof.h"

#include <errno.h>
#include <stdio.h>

enum { TOPIC_MS = 10000 };

int cluster_proof_init(struct cluster_proof *proof, const struct options *options,
                       uint32_t stall_ms, struct err *err) {
    const char *folder = options_get(options, "data-dir")->text;
    int code = kafka_settings_init(&proof->kafka, options, err);
    if (code == 0) code = database_init(&proof->database, options, err);
    if (code == 0)
        code = decisions_topic_init(&proof->log, &proof->kafka.options, folder, stall_ms, err);
    if (code != 0) return code;
    proof->database.options.only_reads = true;
    proof->copy.topic = proof->kafka.options.topic;
    proof->copy.db = maria_new(&proof->database.options);
    if (proof->copy.db == NULL) return err_set(err, -ENOMEM, "no memory for the database");
    proof->sources.is_cluster = true;
    proof->sources.log = (struct log_source){
        .ctx = &proof->log, .name = proof->copy.topic, .read = decisions_topic_read};
    proof->sources.copy = (struct copy_source){.ctx = &proof->copy,
                                               .name = maria_name(proof->copy.db),
                                               .open = maria_reader_open,
                                               .rows = maria_reader_rows,
                                               .close = maria_reader_close};
    return 0;
}

/* verify_sources.check_topic */
static int check_topic(void *ctx, struct err *err) {
    const struct cluster_proof *proof = ctx;
    return kafka_topic_ensure(&proof->kafka.options, false, TOPIC_MS, err);
}

/* verify_sources.repair; the log is read again for the first one. */
static void repair(void *ctx, struct slice event_id, char said[VERIFY_SAID_BYTES]) {
    struct cluster_proof *proof = ctx;
    struct repair_done done;
    struct err err = {0};
    const struct repair_options options = {
        .kafka = &proof->kafka.options, .redis = &proof->reserve, .stall_ms = proof->timeout_ms};
    int code = proof->repair != NULL ? 0 : repair_open(&proof->repair, &options, &err);
    if (code == 0) code = repair_event(proof->repair, event_id, &done, &err);
    if (code != 0)
        snprintf(said, VERIFY_SAID_BYTES, "%s", err.text);
    else if (done.by_server)
        snprintf(said, VERIFY_SAID_BYTES, "fenced as gen %u; a server has installed it", done.gen);
    else
        snprintf(said, VERIFY_SAID_BYTES, "fenced as gen %u, %u holders installed", done.gen,
                 done.holders);
}

int cluster_proof_reserve(struct cluster_proof *proof, const struct options *options,
                          uint32_t timeout_ms, uint32_t holders_max, struct err *err) {
    proof->timeout_ms = timeout_ms;
    proof->sources.ctx = proof;
    proof->sources.check_topic = check_topic;
    int code = redis_settings_init(&proof->redis, options, err);
    if (code != 0 || proof->redis.seeds == NULL) return code;
    struct snapshots_options asking = redis_settings_snapshots(&proof->redis, timeout_ms);
    asking.holders_max = holders_max;
    code = snapshots_open(&proof->reserve, &asking, err);
    if (code != 0) return code;
    proof->sources.repair = repair;
    proof->sources.reserve = (struct reserve_source){
        .ctx = &proof->reserve, .name = proof->redis.seeds, .read = snapshots_read};
    return 0;
}

void cluster_proof_deinit(struct cluster_proof *proof) {
    repair_close(proof->repair);
    snapshots_close(&proof->reserve);
    redis_settings_deinit(&proof->redis);
    maria_free(proof->copy.db);
    decisions_topic_deinit(&proof->log);
    database_deinit(&proof->database);
    kafka_settings_deinit(&proof->kafka);
}
