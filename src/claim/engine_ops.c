/* SPDX-License-Identifier: Apache-2.0 */
#include "claim/engine_ops.h"

static int64_t embedded_begin(void *engine, int64_t wall_ms) {
    return engine_begin(engine, wall_ms);
}
static void embedded_claim(void *engine, const struct claim *claim) {
    engine_claim(engine, claim);
}
static void embedded_control(void *engine, const struct record *record, uint64_t token) {
    engine_control(engine, record, token);
}
static void embedded_control_seen(void *engine, uint64_t token) {
    engine_control_seen(engine, token);
}
static void embedded_end(void *engine) {
    engine_end(engine);
}
static int64_t embedded_told_ms(const void *engine) {
    return engine_told_ms(engine);
}
static int64_t embedded_next_boundary_ms(const void *engine) {
    return engine_next_boundary_ms(engine);
}
static const struct view *embedded_view(const void *engine) {
    return engine_view(engine);
}
static const struct engine_verdicts *embedded_verdicts(const void *engine) {
    return engine_verdicts(engine);
}
static void embedded_free(void *engine) {
    engine_free(engine);
}

const struct engine_ops engine_embedded_ops = {
    .begin = embedded_begin,
    .claim = embedded_claim,
    .control = embedded_control,
    .control_seen = embedded_control_seen,
    .end = embedded_end,
    .told_ms = embedded_told_ms,
    .next_boundary_ms = embedded_next_boundary_ms,
    .view = embedded_view,
    .verdicts = embedded_verdicts,
    .free = embedded_free,
};
