/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of links: the head and every member are links of the same kind; an unlinked one points to
 * itself.
 */
#pragma once

#include <stdbool.h>

struct link {
    struct link *next, *previous;
};

static inline void link_init(struct link *link) { link->next = link->previous = link; }
static inline bool link_is_alone(const struct link *link) { return link->next == link; }

static inline void link_remove(struct link *link) {
    link->next->previous = link->previous;
    link->previous->next = link->next;
    link_init(link);
}

/* Puts an unlinked `link` at the end of the ring of `head`. */
static inline void link_append(struct link *head, struct link *link) {
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}
