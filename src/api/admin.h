/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin routes: events are created, changed, listed, shown and exported by whoever may
 * (admin_access.h).
 * A write is answered when the log holds it and every network thread has applied it.
 */
#pragma once

#include "api/connection.h"

void admin_handle_create(struct exchange *exchange);
void admin_handle_restock(struct exchange *exchange);
void admin_handle_reschedule(struct exchange *exchange);
void admin_handle_pause(struct exchange *exchange);
void admin_handle_resume(struct exchange *exchange);
void admin_handle_close(struct exchange *exchange);
void admin_handle_return(struct exchange *exchange);
void admin_handle_list(struct exchange *exchange);
void admin_handle_show(struct exchange *exchange);
/* {"views":[{"name","seq","digest"}]}: where every view of this process is. */
void admin_handle_views(struct exchange *exchange);
void admin_handle_export(struct exchange *exchange);
