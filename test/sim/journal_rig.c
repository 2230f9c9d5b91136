/* SPDX-License-Identifier: Apache-2.0
 *
 * Setting up, opening and feeding a journal on a simulated disk.
 */
#include "sim/journal_rig.h"

#include <stdlib.h>
#include <string.h>

static struct journal_rig *rig_over(struct disk_sim *sim, uint64_t seed) {
    struct journal_rig *rig = calloc(1, sizeof(*rig));
    ASSERT(rig != NULL);
    rig->sim = sim;
    random_sim_init(&rig->random, seed);
    journal_history_init(&rig->history, seed + 1);
    rig->options = (struct journal_options){.folder = "data",
                                            .segment_bytes = RIG_SEGMENT_BYTES,
                                            .disk = disk_sim_disk(sim),
                                            .random = &rig->random.source};
    return rig;
}

struct journal_rig *journal_rig_new(uint64_t seed) {
    return rig_over(disk_sim_new(seed + 2, 0), seed);
}

bool journal_rig_free(struct journal_rig *rig) {
    journal_close(rig->journal);
    bool is_clean = disk_sim_open_files(rig->sim) == 0;
    disk_sim_free(rig->sim);
    journal_history_deinit(&rig->history);
    free(rig);
    return is_clean;
}

struct journal_rig *journal_rig_clone(const struct journal_rig *rig, uint64_t seed) {
    struct journal_rig *clone = rig_over(disk_sim_clone(rig->sim, seed + 2), seed);
    clone->options.segment_bytes = rig->options.segment_bytes;
    clone->options.read_only = rig->options.read_only;
    journal_history_copy(&clone->history, &rig->history);
    return clone;
}

int journal_rig_open(struct journal_rig *rig, const char **wrong) {
    ASSERT(rig->journal == NULL);
    *wrong = NULL;
    journal_history_rewind(&rig->history);
    int code = journal_open(&rig->journal, &rig->options, journal_history_on_record, &rig->history,
                            &rig->err);
    if (code == 0) *wrong = journal_history_settle(&rig->history);
    return code;
}

void journal_rig_close(struct journal_rig *rig) {
    journal_close(rig->journal);
    rig->journal = NULL;
}

int journal_rig_append(struct journal_rig *rig, size_t count) {
    size_t bytes = journal_history_batch(&rig->history, rig->batch, sizeof(rig->batch), count);
    int code = journal_append(rig->journal, rig->batch, bytes, count);
    if (code == 0) journal_history_acknowledge(&rig->history);
    return code;
}

int journal_rig_prepare(struct journal_rig *rig) {
    if (!journal_wants_segment(rig->journal)) return 0;
    struct journal_segment *segment = journal_segment_prepare(rig->journal, &rig->err);
    if (segment == NULL) return rig->err.code;
    journal_give_segment(rig->journal, segment);
    return 0;
}
