/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_offset.h"

/* By its time, with -1 for the end and -2 for the begin: rd_kafka_query_watermark_offsets would
 * wait for as long as a frozen broker does, whatever time it is given. */
rd_kafka_resp_err_t kafka_offset_of(rd_kafka_t *client, const char *topic, int64_t time,
                                    int wait_ms, uint64_t *offset) {
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *partition = rd_kafka_topic_partition_list_add(one, topic, 0);
    partition->offset = time;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client, one, wait_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = partition->err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && partition->offset < 0)
        code = RD_KAFKA_RESP_ERR__NO_OFFSET;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) *offset = (uint64_t)partition->offset;
    rd_kafka_topic_partition_list_destroy(one);
    return code;
}
