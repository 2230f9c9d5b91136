/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine decides the claims that may still win: reserve, append, judge, answer (ARCHITECTURE.md
 * draws it). This part has no thread and no clock of its own: engine_thread.h runs it in a server,
 * test/sim runs it over a simulated disk and clock.
 *
 * A tick is: engine_begin, the log's pump, any number of engine_claim and engine_control,
 * engine_end. Between engine_end and the sink's calls nothing is told to anyone:
 *   - PASS after the record came back from the log and the judge said VALID (I3);
 *   - SOLD_OUT after every win that was reserved before it came back likewise, so that a final
 *     sold-out never precedes the N-th VALID win (I5);
 *   - a repeat of a claim whose win is on its way, after that win.
 */
#pragma once

#include <stdint.h>

#include "claim/claim.h"
#include "claim/reserve.h"
#include "claim/view.h"
#include "lib/base.h"
#include "lib/metrics.h"
#include "log/log.h"

struct engine;

enum control_outcome {
    CONTROL_DONE,
    CONTROL_EXISTS,      /* OPEN of an event that is there */
    CONTROL_UNKNOWN,     /* no such event */
    CONTROL_CLOSED,      /* the event is closed: final */
    CONTROL_REFUSED,     /* the judge's rule forbids it (RESTOCK below a held serial, RETURN of
                            another's coupon) */
    CONTROL_NO_SPACE,    /* the disk's reserve is short: no new events */
    CONTROL_UNAVAILABLE, /* cannot be written now */
};

struct engine_sink {
    void *ctx;
    /* The log decided these records (encoded, back to back); the engine's view has applied them.
     * Valid during the call. Before any answer that depends on them. */
    void (*on_records)(void *ctx, struct slice records);
    void (*on_answer)(void *ctx, uint32_t thread, uint64_t token, enum claim_outcome outcome);
    /* A control record is in the log and applied to the engine's view and the reserve (DONE), or
     * was refused (anything else, nothing changed). After DONE the event's claims are held on,
     * until engine_control_seen. */
    void (*on_control)(void *ctx, uint64_t token, enum control_outcome outcome);
    /* The log failed; every claim that waited has been answered CLAIM_PENDING (winners and whoever
     * waited for them) or, never having been decided, CLAIM_UNAVAILABLE before this call. A control
     * record that was on its way gets no on_control: only the next start can tell. (Want of memory
     * while records are applied does not come here: it ends the process, memory_needed.) */
    void (*on_failed)(void *ctx, int code);
};

/* `view` is the engine's own, as the log's start left it; every event of it is installed into the
 * reserve. The engine sets itself as sink of `log` and of `reserve`. None is owned. At most
 * `waiting_max` claims are kept waiting at once (the callers' bounds make sure of it). NULL when
 * memory is short. */
struct engine *engine_new(struct view *view, struct reserve *reserve, struct log *log,
                          const struct engine_sink *sink, uint32_t waiting_max) MUST_CHECK;
void engine_free(struct engine *engine);

/* `wall_ms` is latched: the engine's time never runs backwards, nor behind any record (I9). Returns
 * the latched time. */
int64_t engine_begin(struct engine *engine, int64_t wall_ms);
void engine_claim(struct engine *engine, const struct claim *claim);

/* The time that views may be told: the latched one, but for an event that has ended while wins of
 * it are on their way; then the last instant before that end. So whatever a view knows to be over
 * is decided in what it was given before, and nobody who is about to hear yes hears "ended" first,
 * or from another thread after it (I2). Never runs backwards. */
int64_t engine_told_ms(const struct engine *engine);

/* A control record (any type but WIN, MARK, SEGMENT); ms is set by the engine. Claims of its event
 * are held back until it is decided. Slices of `record` need to live only during the call. */
void engine_control(struct engine *engine, const struct record *record, uint64_t token);

/* Every view that answers people has applied the control record whose on_control said DONE: claims
 * of its event go on. Not before, or somebody whom the new state let win would hear the old state
 * (sold out, paused, unknown) from a view that is still behind (I2). Within a tick. */
void engine_control_seen(struct engine *engine, uint64_t token);

/* Flushes the reserve, and hands the collected batch to the log if that is idle. */
void engine_end(struct engine *engine);

/* seq of the last record that the engine has judged. */
uint64_t engine_offset(const struct engine *engine);
/* … and the view that it has judged it with. */
const struct view *engine_view(const struct engine *engine);

/* How often the judge gave each verdict, to records that came back from the log since the start.
 * Any thread may read them. */
struct engine_verdicts {
    struct counter wins[VERDICT_NOP + 1], controls[VERDICT_NOP + 1];
};
const struct engine_verdicts *engine_verdicts(const struct engine *engine);

/* The instant (wall ms) of the next start or end of an event behind the latched time, TIME_MS_MAX
 * if there is none: the caller ticks then, so that views learn the time. */
int64_t engine_next_boundary_ms(const struct engine *engine);
