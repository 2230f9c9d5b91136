/* SPDX-License-Identifier: Apache-2.0 */
#include "api/views.h"

#include <stdarg.h>
#include <stdio.h>

#include "claim/view_mark.h"

static size_t add(struct view_point *points, size_t count, size_t max, const struct view_mark *mark,
                  const char *format, ...) PRINTF_LIKE(5, 6);
static size_t add(struct view_point *points, size_t count, size_t max, const struct view_mark *mark,
                  const char *format, ...) {
    if (count == max) return count;
    struct view_point *point = &points[count];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(point->name, sizeof point->name, format, arguments);
    va_end(arguments);
    view_mark_read(mark, &point->seq, &point->digest);
    return count + 1;
}

size_t views_points(const struct server_shared *shared, const struct engine_thread *engine,
                    struct view_point *points, size_t max) {
    size_t count = add(points, 0, max, engine_thread_mark(engine), "engine");
    uint32_t admin = shared->servers_count - 1; /* the admin listener's comes last */
    for (uint32_t i = 0; i < admin; i++)
        count = add(points, count, max, &shared->servers[i]->view_mark, "thread %u", i);
    count = add(points, count, max, &shared->servers[admin]->view_mark, "admin");
    if (shared->copy != NULL)
        count = add(points, count, max, copy_thread_mark(shared->copy), "copy");
    return count;
}
