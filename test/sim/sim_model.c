/* SPDX-License-Identifier: Apache-2.0
 *
 * The second opinion on a log.
 */
#include "sim/sim_model.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base.h"

void model_init(struct model *model) {
    *model = (struct model){.offset = 0};
}

void model_deinit(struct model *model) {
    for (uint32_t i = 0; i < SIM_EVENTS_MAX; i++) free(model->events[i].points);
    free(model->crcs);
}

uint32_t sim_number(struct slice id) {
    uint32_t number = 0;
    for (size_t i = 1; i < id.n; i++) number = number * 10 + (uint32_t)(id.p[i] - '0');
    return number;
}

static void wrong(struct model *model, const char *what) {
    if (model->wrong == NULL) model->wrong = what;
}

static void remember(struct model *model, struct model_event *event) {
    if (event->points_count == event->points_capacity) {
        event->points_capacity = event->points_capacity == 0 ? 64 : 2 * event->points_capacity;
        event->points = realloc(event->points, event->points_capacity * sizeof *event->points);
        ASSERT(event->points != NULL);
    }
    event->points[event->points_count++] =
        (struct model_point){.offset = model->offset, .taken = event->taken, .stock = event->stock};
}

const struct model_point *model_at(const struct model_event *event, uint64_t offset) {
    for (uint32_t i = event->points_count; i-- > 0;)
        if (event->points[i].offset <= offset) return &event->points[i];
    return NULL;
}

/* One server, one writer: each of its wins has to be good. */
static void win(struct model *model, struct model_event *event, const struct record *record) {
    uint32_t serial = record->win.serial, user = sim_number(record->win.user_id);
    if (serial < 1 || serial > event->stock || serial > SIM_STOCK_MAX)
        wrong(model, "I1: a win outside the stock");
    else if (event->holders[serial] != 0)
        wrong(model, "I1: a serial won twice");
    else if (user >= SIM_USERS_MAX || event->users[user].serial != 0)
        wrong(model, "I2: a user won twice");
    else if (record->ms < event->starts_ms || record->ms >= event->ends_ms)
        wrong(model, "C10: a win before the start or after the end");
    else {
        event->holders[serial] = user + 1;
        event->users[user].serial = serial;
        event->users[user].round = event->rounds[serial];
        event->taken++;
    }
}

static void give_back(struct model *model, struct model_event *event, const struct record *record) {
    uint32_t serial = record->give_back.serial, user = sim_number(record->give_back.user_id);
    if (serial < 1 || serial > SIM_STOCK_MAX || event->holders[serial] != user + 1) {
        wrong(model, "a return of what is not held");
        return;
    }
    event->holders[serial] = 0;
    event->rounds[serial]++;
    event->users[user].returned = true;
    event->taken--;
    event->changes++;
    event->returns++;
}

/* May come too late, behind the win of a serial that it would take away: then it says nothing. */
static void restock(struct model_event *event, uint32_t stock) {
    for (uint32_t serial = stock + 1; serial <= SIM_STOCK_MAX; serial++)
        if (event->holders[serial] != 0) return;
    event->stock = stock;
    event->changes++;
}

static void apply_to_event(struct model *model, struct model_event *event,
                           const struct record *record) {
    if (record->type == RECORD_OPEN) {
        if (event->opened) wrong(model, "an event opened twice");
        event->opened = true;
        event->stock = record->open.stock;
        event->starts_ms = record->open.starts_ms;
        event->ends_ms = record->open.ends_ms;
        return;
    }
    if (!event->opened) wrong(model, "I7: a record of an event that was never opened");
    if (event->closed && record->type != RECORD_RETURN) wrong(model, "a record behind a close");
    switch (record->type) {
    case RECORD_WIN:
        win(model, event, record);
        break;
    case RECORD_RETURN:
        give_back(model, event, record);
        break;
    case RECORD_RESTOCK:
        restock(event, record->restock.stock);
        break;
    case RECORD_CLOSE:
        event->closed = true;
        if (record->ms < event->ends_ms) event->ends_ms = record->ms;
        if (event->ends_ms < event->starts_ms) event->ends_ms = event->starts_ms;
        event->changes++;
        break;
    case RECORD_RESCHEDULE:
        event->starts_ms = record->reschedule.starts_ms;
        event->ends_ms = record->reschedule.ends_ms;
        event->changes++;
        break;
    case RECORD_PAUSE:
    case RECORD_RESUME:
        event->paused = record->type == RECORD_PAUSE;
        event->changes++;
        break;
    default:
        wrong(model, "a record that nobody wrote");
        break;
    }
}

static void note_crc(struct model *model, uint64_t seq, uint32_t crc) {
    if (seq >= model->crcs_capacity) {
        uint64_t capacity = 2 * seq + 256;
        model->crcs = realloc(model->crcs, capacity * sizeof *model->crcs);
        ASSERT(model->crcs != NULL);
        memset(model->crcs + model->crcs_capacity, 0,
               (capacity - model->crcs_capacity) * sizeof *model->crcs);
        model->crcs_capacity = capacity;
    }
    model->crcs[seq] = crc;
}

void model_apply(struct model *model, const struct record *record, uint32_t crc) {
    if (record->seq <= model->offset) wrong(model, "the log runs backwards");
    if (record->ms < model->latest_ms) wrong(model, "I9: the log's time runs backwards");
    model->offset = record->seq;
    model->latest_ms = record->ms;
    note_crc(model, record->seq, crc);
    uint32_t number = sim_number(record->event_id);
    if (number >= SIM_EVENTS_MAX) {
        wrong(model, "an event that nobody named");
        return;
    }
    struct model_event *event = &model->events[number];
    apply_to_event(model, event, record);
    remember(model, event);
}
