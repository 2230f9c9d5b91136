/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a history, and once more behind a good first line. What is taken keeps the rules
 * that the checker relies on.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base.h"
#include "verify/history.h"

static const char head[] =
    "{\"coupond_history\":1,\"event\":\"EV\",\"prefix\":\"u-\",\"boot\":\"b\",\"ns\":5,\"ms\":7}\n";

static void check_op(const struct history *history, const struct history_op *op) {
    ASSERT(op->file < history->files_count && op->line >= 2);
    ASSERT(op->told <= HISTORY_LOST && op->user != 0);
    ASSERT(op->invoke_ns >= 0 && op->return_ns >= op->invoke_ns);
    ASSERT((op->told == HISTORY_LOST) == (op->return_ns == HISTORY_NEVER));
    ASSERT(history_is_pass(op) == (op->serial != 0));
    ASSERT(history_is_pass(op) == (op->coupon != 0));
    ASSERT(op->user < history->texts->count && op->coupon < history->texts->count);
    ASSERT(op->event == history->files[op->file].event);
}

static void read_bytes(struct slice bytes) {
    static const struct hash_key hash_key = {{1, 2}};
    struct texts texts;
    struct err err;
    texts_init(&texts, &hash_key);
    struct history history = {.texts = &texts};
    if (history_read_bytes(&history, "h", bytes, &err) == 0)
        for (size_t i = 0; i < history.count; i++) check_op(&history, &history.ops[i]);
    history_deinit(&history);
    texts_deinit(&texts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t head_bytes = sizeof head - 1;
    char *copy =
        malloc(head_bytes + size); /* of exactly this size, so that a read past it is seen */
    ASSERT(copy != NULL);
    memcpy(copy, head, head_bytes);
    if (size > 0) memcpy(copy + head_bytes, data, size);
    read_bytes(slice_of(data, size));
    read_bytes(slice_of(copy, head_bytes + size));
    free(copy);
    return 0;
}
