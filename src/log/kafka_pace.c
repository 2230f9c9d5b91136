/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_pace.h"

#include "lib/base.h"

bool kafka_pace_take(struct kafka_pace *pace, size_t bytes, uint64_t now_ns) {
    if (pace->records == 0) {
        pace->bytes = 0;
        pace->begun_ns = now_ns;
    } else if (now_ns - pace->begun_ns >= pace->linger_ns ||
               pace->bytes + bytes > pace->bytes_max) {
        return false;
    }
    pace->records++;
    pace->bytes += bytes;
    return true;
}

void kafka_pace_land(struct kafka_pace *pace) {
    ASSERT(pace->records > 0);
    pace->records--;
}
