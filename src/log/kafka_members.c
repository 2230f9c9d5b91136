/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_members.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/clock.h"
#include "log/kafka_conf.h"

enum { PAUSE_MS = 200 };

rd_kafka_resp_err_t kafka_members_ask(rd_kafka_t *client, const char *group_id, uint32_t wait_ms,
                                      uint32_t *count) {
    *count = 0;
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t code = rd_kafka_list_groups(client, group_id, &list, (int)wait_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (int i = 0; i < list->group_cnt; i++)
            if (strcmp(list->groups[i].group, group_id) == 0) {
                code = list->groups[i].err;
                *count += (uint32_t)list->groups[i].member_cnt;
            }
    if (list != NULL) rd_kafka_group_list_destroy(list);
    return code;
}

int kafka_members_count(const struct kafka_options *options, const char *group_id, uint32_t wait_ms,
                        uint32_t *count, struct err *err) {
    uint64_t until_ns = clock_monotonic_ns(&clock_system) + wait_ms * UINT64_C(1000000);
    rd_kafka_conf_t *conf = kafka_conf_new(options, NULL, 0, err);
    rd_kafka_t *client = conf == NULL ? NULL : kafka_client_new(RD_KAFKA_PRODUCER, conf, err);
    if (client == NULL) return err->code;
    rd_kafka_resp_err_t code; /* brokers that have just begun load what they know of groups first */
    while ((code = kafka_members_ask(client, group_id, wait_ms, count)) !=
               RD_KAFKA_RESP_ERR_NO_ERROR &&
           clock_monotonic_ns(&clock_system) < until_ns)
        (void)poll(NULL, 0, PAUSE_MS);
    rd_kafka_destroy(client);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
    return err_set(err, -EAGAIN,
                   "kafka: the brokers at --kafka %s do not say who is in group %s: %s",
                   options->brokers, group_id, rd_kafka_err2str(code));
}
