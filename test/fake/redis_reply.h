/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies of Redis from their bytes, as the client would have them. Included by one .c each.
 */
#pragma once

#include <hiredis/hiredis.h>

#include "lib/slice.h"

/* The first reply in `bytes`, to be freed with freeReplyObject; NULL when there is no whole one. */
static inline struct redisReply *redis_reply_of(struct slice bytes) {
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    if (reader == NULL) return NULL;
    if (bytes.n > 0) redisReaderFeed(reader, bytes.p, bytes.n);
    if (redisReaderGetReply(reader, &reply) != REDIS_OK) reply = NULL;
    redisReaderFree(reader);
    return reply;
}
