/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine's thread asks of an engine: that of the embedded mode (engine.h) or that of a
 * cluster (cluster.h). The words are those of engine.h, and mean the same.
 */
#pragma once

#include <stdint.h>

#include "claim/engine.h"

struct engine_ops {
    int64_t (*begin)(void *engine, int64_t wall_ms);
    void (*claim)(void *engine, const struct claim *claim);
    void (*control)(void *engine, const struct record *record, uint64_t token);
    void (*control_seen)(void *engine, uint64_t token);
    void (*end)(void *engine);
    int64_t (*told_ms)(const void *engine);
    int64_t (*next_boundary_ms)(const void *engine);
    const struct view *(*view)(const void *engine);
    const struct engine_verdicts *(*verdicts)(const void *engine);
    void (*free)(void *engine);
};

extern const struct engine_ops engine_embedded_ops; /* of a struct engine */
