/* SPDX-License-Identifier: Apache-2.0 */
#include "log/kafka_members.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "log/kafka_conf.h"

enum { PAUSE_MS = 200 };

struct kafka_members {
    const struct kafka_options *options;
    const char *group_id;
    rd_kafka_t *client; /* with the name of the group, and never in it */
};

int kafka_members_open(struct kafka_members **members, const struct kafka_options *options,
                       const char *group_id, struct err *err) {
    const struct kafka_setting settings[] = {
        {"group.id", group_id},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
    };
    struct kafka_members *made = malloc(sizeof *made);
    if (made == NULL) return err_set(err, -ENOMEM, "no memory for a client of Kafka");
    *made = (struct kafka_members){.options = options, .group_id = group_id};
    rd_kafka_conf_t *conf = kafka_conf_new(options, settings, ARRAY_LEN(settings), err);
    made->client = conf == NULL ? NULL : kafka_client_new(RD_KAFKA_CONSUMER, conf, err);
    if (made->client == NULL) {
        free(made);
        return err->code;
    }
    *members = made;
    return 0;
}

void kafka_members_close(struct kafka_members *members) {
    if (members == NULL) return;
    rd_kafka_destroy_flags(members->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(members);
}

static int cannot(const struct kafka_members *members, const char *what, rd_kafka_resp_err_t code,
                  struct err *err) {
    return err_set(err, -EAGAIN, "kafka: the brokers at --kafka %s do not say %s group %s: %s",
                   members->options->brokers, what, members->group_id, rd_kafka_err2str(code));
}

/* ---- Who is in it ---- */

/* What each broker says of the groups that it sees to. A broker that says nothing may have had the
 * group, so an answer of only some is none. */
static rd_kafka_resp_err_t ask(const struct kafka_members *members, uint32_t wait_ms,
                               uint32_t *count) {
    *count = 0;
    const struct rd_kafka_group_list *list = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_list_groups(members->client, members->group_id, &list, (int)wait_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (int i = 0; i < list->group_cnt; i++)
            if (strcmp(list->groups[i].group, members->group_id) == 0) {
                code = list->groups[i].err;
                *count += (uint32_t)list->groups[i].member_cnt;
            }
    if (list != NULL) rd_kafka_group_list_destroy(list);
    return code;
}

int kafka_members_count(struct kafka_members *members, uint32_t wait_ms, uint32_t *count,
                        struct err *err) {
    uint64_t until_ns = clock_monotonic_ns(&clock_system) + wait_ms * UINT64_C(1000000);
    rd_kafka_resp_err_t code; /* brokers that have just begun load what they know of groups first */
    while ((code = ask(members, wait_ms, count)) != RD_KAFKA_RESP_ERR_NO_ERROR &&
           clock_monotonic_ns(&clock_system) < until_ns)
        (void)poll(NULL, 0, PAUSE_MS);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : cannot(members, "who is in", code, err);
}

/* ---- How far it is ---- */

/* RD_KAFKA_OFFSET_INVALID: nothing was committed. */
static rd_kafka_resp_err_t ask_committed(const struct kafka_members *members, uint32_t wait_ms,
                                         int64_t *committed) {
    rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(one, members->options->topic, 0);
    rd_kafka_resp_err_t code = rd_kafka_committed(members->client, one, (int)wait_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = one->elems[0].err;
    *committed = one->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(one);
    return code;
}

int kafka_members_done(struct kafka_members *members, uint32_t wait_ms, uint64_t *offset,
                       struct err *err) {
    int64_t committed;
    uint32_t count = 0;
    rd_kafka_resp_err_t code = ask_committed(members, wait_ms, &committed);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && committed < 0) code = ask(members, wait_ms, &count);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return cannot(members, "how far they are in", code, err);
    *offset = committed >= 0 ? (uint64_t)committed : count > 0 ? 0 : UINT64_MAX;
    return 0;
}
