/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of a cluster: how their reservations are put right, and how control records take effect.
 *
 *     READY -- Redis is behind, or a control record was read --> WAITING --> FENCING --> INSTALLING
 *       ^                                                                      |            |
 *       +------ another server's FENCE was first: its install is ahead --------+            |
 *       +------ Redis has taken over the judge's state -------------------------------------+
 *
 * The log takes one FENCE of each number, so one server of many recovers. Claims of the event are
 * held meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "claim/cluster_private.h"
#include "claim/control.h"
#include "claim/install.h"
#include "lib/failpoint.h"
#include "lib/logger.h"

enum {
    JITTER_MS = 50,          /* so that not all servers fence at once */
    OTHERS_INSTALL_MS = 300, /* how long another's FENCE is given until its install is expected */
    OTHERS_PER_MS = 50,      /* … and so many holders in each millisecond more */
    FENCE_MS = 5000,         /* until ours is taken for lost */
    UNFENCED_MS = 1000,      /* a control record whose author did not fence: somebody else does */
    INSTALL_MS = 3000,
    INSTALL_AGAIN_MS = 200,
    INSTALL_BROKEN_MS = 2000,
    CONTROL_MS = 5000,
    EVENTS_EVERY_MS = 10,
};

static uint64_t after(const struct cluster *cluster, uint64_t ms) {
    return cluster->now_ns + ms * NS_PER_MS;
}

/* ---- life ---- */

/* One for each event of the view. */
int events_fill(struct cluster *cluster) {
    while (cluster->events_count < view_events_count(cluster->view)) {
        if (cluster->events_count == cluster->events_max) {
            uint32_t max = cluster->events_max == 0 ? 16 : cluster->events_max * 2;
            struct cluster_event **events =
                realloc(cluster->events, max * sizeof(struct cluster_event *));
            if (events == NULL) return -ENOMEM;
            cluster->events = events;
            cluster->events_max = max;
        }
        struct cluster_event *event = calloc(1, sizeof *event);
        if (event == NULL) return -ENOMEM;
        event->cluster = cluster;
        event->number = cluster->events_count;
        script_keys_make(&event->keys, view_at(cluster->view, event->number)->id);
        cluster->events[cluster->events_count++] = event;
    }
    return 0;
}

void events_deinit(struct cluster *cluster) {
    for (uint32_t i = 0; i < cluster->events_count; i++) free(cluster->events[i]);
    free(cluster->events);
    for (struct control_under_way *control = cluster->controls, *next; control != NULL;
         control = next) {
        next = control->next;
        free(control);
    }
}

static void set_phase(struct cluster_event *event, enum event_phase phase) {
    if (event->phase != EVENT_READY) event->cluster->unready_count--;
    if (phase != EVENT_READY) event->cluster->unready_count++;
    event->phase = phase;
}

/* ---- held claims ---- */

void events_hold(struct cluster_event *event, struct ask *ask) {
    ask->state = ASK_HELD;
    ask_queue_push(&event->held, ask);
}

static void make_ready(struct cluster_event *event) {
    struct ask_queue held = event->held;
    event->held.first = NULL;
    set_phase(event, EVENT_READY);
    for (struct ask *ask; (ask = ask_queue_pop(&held)) != NULL;) claims_go(event->cluster, ask);
}

/* ---- install ---- */

static void install_failed(struct cluster_event *event, const char *why, uint64_t again_ms) {
    static struct logger_limit limit;
    const struct slice id = view_at(event->cluster->view, event->number)->id;
    logger_line_limited(&limit, LOG_WARN, "cluster",
                        "event=not_installed event_id=%.*s text=\"%s\"", (int)id.n, id.p, why);
    event->due_ns = after(event->cluster, again_ms);
}

static void install(struct cluster_event *event);

static void on_part(struct cluster_event *event, uint32_t holders) {
    bool is_more = holders != event->installed;
    event->installed = holders; /* fewer, when the node has forgotten some: from there on again */
    if (is_more)
        install(event);
    else
        install_failed(event, "Redis lays no holders aside", INSTALL_BROKEN_MS);
}

static void on_installed(void *ctx, const struct redis_result *result) {
    struct cluster_event *event = ctx;
    struct cluster *cluster = event->cluster;
    event->is_installing = false;
    if (event->phase != EVENT_INSTALLING || cluster->failed) return;
    if (result->end != REDIS_REPLIED) {
        install_failed(event, result->error, INSTALL_AGAIN_MS);
        return;
    }
    struct install_script_reply read;
    install_script_read(result->reply, &read);
    switch (read.code) {
    case INSTALL_DONE:
        counter_add(&cluster->counts.installs, 1);
        FAILPOINT("cluster_installed");
        make_ready(event);
        return;
    case INSTALL_NEWER:
        make_ready(event);
        return;
    case INSTALL_PART:
        on_part(event, read.value);
        return;
    case INSTALL_NOT_MASTER:
        install_failed(event, "the node is no master", INSTALL_AGAIN_MS);
        return;
    case INSTALL_DUPLICATE_SERIAL:
        install_failed(event, "Redis finds a serial twice", INSTALL_BROKEN_MS);
        return;
    case INSTALL_WRONG_TYPE:
        install_failed(event, "somebody else has written keys of this event", INSTALL_BROKEN_MS);
        return;
    case INSTALL_NONSENSE:
        install_failed(event, "no reply of this script", INSTALL_BROKEN_MS);
        return;
    }
}

static void install(struct cluster_event *event) {
    struct cluster *cluster = event->cluster;
    struct install_call call = {0};
    event->due_ns = after(cluster, INSTALL_AGAIN_MS);
    if (event->is_installing) return;
    int code = install_call_fill(&call, &event->keys, cluster_judge(cluster, event->number),
                                 event->installed, cluster->options.install_part);
    if (code == 0) {
        const struct redis_request request = {
            .key = script_key(&event->keys),
            .script = &install_script,
            .words = call.words,
            .words_count = call.words_count,
            .deadline_ms = cluster_now_redis_ms(cluster) + INSTALL_MS,
            .is_repeatable = true, /* the second time it says that the state is there */
            .on_done = on_installed,
            .ctx = event,
        };
        FAILPOINT("cluster_before_install");
        code = redis_cluster_send(cluster->redis, &request, cluster_now_redis_ms(cluster));
        event->is_installing = code == 0;
    }
    if (code != 0) install_failed(event, strerror(-code), INSTALL_AGAIN_MS);
    install_call_deinit(&call);
}

/* ---- FENCE ---- */

void events_recover(struct cluster_event *event) {
    struct cluster *cluster = event->cluster;
    if (event->phase != EVENT_READY) return;
    uint64_t due_ns = after(cluster, cluster_dice(cluster, JITTER_MS));
    uint64_t others_ms = OTHERS_INSTALL_MS + cluster_dice(cluster, JITTER_MS) +
                         judge_members_count(cluster_judge(cluster, event->number)) / OTHERS_PER_MS;
    uint64_t others_ns = event->fenced_ns == 0 ? 0 : event->fenced_ns + others_ms * NS_PER_MS;
    set_phase(event, EVENT_WAITING);
    event->due_ns = due_ns > others_ns ? due_ns : others_ns;
}

static void fence_now(struct cluster_event *event) {
    if (event->phase == EVENT_FENCING) return;
    set_phase(event, EVENT_WAITING);
    event->due_ns = event->cluster->now_ns;
}

static void fence(struct cluster_event *event) {
    struct cluster *cluster = event->cluster;
    const struct record record = {
        .type = RECORD_FENCE,
        .ms = cluster->now_ms,
        .event_id = view_at(cluster->view, event->number)->id,
        .fence = {.gen = judge_state(cluster_judge(cluster, event->number))->gen + 1,
                  .nonce = cluster->nonce},
    };
    event->nonce = cluster_produce(cluster, &record);
    set_phase(event, event->nonce == 0 ? EVENT_WAITING : EVENT_FENCING);
    event->due_ns = after(cluster, event->nonce == 0 ? JITTER_MS : FENCE_MS);
    if (event->nonce != 0) counter_add(&cluster->counts.fences, 1);
    FAILPOINT("cluster_fencing");
}

/* ---- control records ---- */

static void tell_control(struct cluster *cluster, struct control_under_way *control,
                         enum control_outcome outcome) {
    struct control_under_way **link = &cluster->controls;
    while (*link != control) link = &(*link)->next;
    *link = control->next;
    cluster->sink.on_control(cluster->sink.ctx, control->token, outcome);
    free(control);
}

static bool is_under_way(const struct cluster *cluster, struct slice event_id) {
    for (const struct control_under_way *control = cluster->controls; control != NULL;
         control = control->next)
        if (slice_eq(slice_of(control->event_id, control->event_id_bytes), event_id)) return true;
    return false;
}

void events_control(struct cluster *cluster, const struct record *record, uint64_t token) {
    struct record written = *record;
    written.ms = cluster->now_ms;
    enum control_outcome outcome =
        cluster->failed ? CONTROL_UNAVAILABLE : control_check(cluster->view, &written);
    if (outcome == CONTROL_DONE && is_under_way(cluster, record->event_id))
        outcome = CONTROL_UNAVAILABLE;
    uint64_t nonce = 0;
    if (outcome == CONTROL_DONE && (nonce = cluster_produce(cluster, &written)) == 0)
        outcome = CONTROL_UNAVAILABLE;
    if (outcome != CONTROL_DONE) {
        cluster->sink.on_control(cluster->sink.ctx, token, outcome);
        return;
    }
    struct control_under_way *control = memory_needed(malloc(sizeof *control));
    *control = (struct control_under_way){.next = cluster->controls,
                                          .token = token,
                                          .nonce = nonce,
                                          .deadline_ns = after(cluster, CONTROL_MS),
                                          .event_id_bytes = (uint8_t)record->event_id.n};
    memcpy(control->event_id, record->event_id.p, record->event_id.n);
    cluster->controls = control;
    FAILPOINT("cluster_control_written");
}

/* ---- by the tail ---- */

static struct control_under_way *control_with(const struct cluster *cluster, uint64_t nonce) {
    struct control_under_way *control = nonce == 0 ? NULL : cluster->controls;
    while (control != NULL && control->nonce != nonce) control = control->next;
    return control;
}

/* Whoever fenced: what was written before is in force, because no reservation of before counts. */
static void tell_fenced(struct cluster *cluster, struct slice event_id) {
    for (struct control_under_way *control = cluster->controls, *next; control != NULL;
         control = next) {
        next = control->next;
        if (control->is_written &&
            slice_eq(slice_of(control->event_id, control->event_id_bytes), event_id))
            tell_control(cluster, control, CONTROL_DONE);
    }
}

static void on_fence(struct cluster_event *event, const struct record *record, uint64_t nonce,
                     enum verdict verdict) {
    struct cluster *cluster = event->cluster;
    bool is_ours = nonce != 0 && nonce == event->nonce;
    if (verdict == VERDICT_VALID) {
        event->fenced_ns = cluster->now_ns;
        event->unfenced_ns = 0;
        tell_fenced(cluster, record->event_id);
    }
    if (is_ours && verdict == VERDICT_VALID) {
        FAILPOINT("cluster_fenced");
        set_phase(event, EVENT_INSTALLING);
        event->installed = 0;
        install(event);
    } else if (is_ours || verdict == VERDICT_VALID) {
        make_ready(event); /* another's was first */
    }
}

static void on_control(struct cluster *cluster, struct cluster_event *event, uint64_t nonce,
                       enum verdict verdict, enum record_type type) {
    struct control_under_way *control = control_with(cluster, nonce);
    if (verdict != VERDICT_VALID) {
        if (control != NULL)
            tell_control(cluster, control, type == RECORD_OPEN ? CONTROL_EXISTS : CONTROL_REFUSED);
        return;
    }
    if (control == NULL) {
        if (event->unfenced_ns == 0) event->unfenced_ns = cluster->now_ns;
        return;
    }
    control->is_written = true;
    fence_now(event);
}

/* Its author may have died before its FENCE; then this server has to bring it into force. */
void events_on_replayed(struct cluster *cluster, const struct record *record,
                        enum verdict verdict) {
    const struct event *event = view_find(cluster->view, record->event_id);
    if (event == NULL || verdict != VERDICT_VALID) return;
    bool is_fence = record->type == RECORD_FENCE;
    cluster->events[event->number]->unfenced_ns = is_fence ? 0 : cluster->now_ns;
}

void events_on_record(struct cluster *cluster, const struct record *record, uint64_t nonce,
                      enum verdict verdict) {
    const struct event *event = view_find(cluster->view, record->event_id);
    if (event == NULL) {
        struct control_under_way *control = control_with(cluster, nonce);
        if (control != NULL) tell_control(cluster, control, CONTROL_UNKNOWN);
        return;
    }
    if (record->type == RECORD_FENCE)
        on_fence(cluster->events[event->number], record, nonce, verdict);
    else
        on_control(cluster, cluster->events[event->number], nonce, verdict, record->type);
}

/* ---- time ---- */

static void event_turn(struct cluster_event *event) {
    const struct cluster *cluster = event->cluster;
    bool is_due = cluster->now_ns >= event->due_ns;
    if (event->phase == EVENT_READY && event->unfenced_ns != 0 &&
        cluster->now_ns - event->unfenced_ns >= (uint64_t)UNFENCED_MS * NS_PER_MS)
        events_recover(event);
    else if (event->phase == EVENT_WAITING && is_due)
        fence(event);
    else if (event->phase == EVENT_FENCING && is_due)
        set_phase(event, EVENT_WAITING);
    else if (event->phase == EVENT_INSTALLING && is_due)
        install(event);
}

/* There may be very many events, of which hardly any has something to do. */
static bool are_events_due(struct cluster *cluster) {
    if (cluster->unready_count == 0 && cluster->now_ns < cluster->events_due_ns) return false;
    cluster->events_due_ns = after(cluster, EVENTS_EVERY_MS);
    return true;
}

void events_turn(struct cluster *cluster) {
    for (uint32_t i = 0, count = are_events_due(cluster) ? cluster->events_count : 0; i < count;
         i++) {
        event_turn(cluster->events[i]);
        relay_turn(cluster->events[i]);
        archive_turn(cluster->events[i]);
    }
    for (struct control_under_way *control = cluster->controls, *next; control != NULL;
         control = next) {
        next = control->next;
        if (control->deadline_ns <= cluster->now_ns)
            tell_control(cluster, control, CONTROL_UNAVAILABLE);
    }
}
