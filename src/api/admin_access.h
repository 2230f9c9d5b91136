/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may use the admin routes: who bears the admin token, or who has shown it in a browser and got
 * a session in a cookie. A write that comes with a cookie has to come from a page of this very
 * origin: SameSite=Strict, and the browser's word in Sec-Fetch-Site or Origin.
 *
 * The answer to a wrong token is held back (login_guard.h) by a timer, which holds up nobody else.
 */
#pragma once

#include <stdbool.h>

#include "api/admin_request.h"
#include "api/connection.h"

/* True when the request may go on. Else it has been answered (401, 403, 429, 503), or will be. */
bool admin_admits(struct exchange *exchange);

/* True when the body says that it is something else than JSON: answered with 415. */
bool admin_refuses_type(struct exchange *exchange);
/* Answers with what was found wrong in the body. */
void admin_refuse_body(struct exchange *exchange, const struct admin_request *request);

/* The session that the request's cookie names, or NULL. */
const struct session *admin_session(const struct exchange *exchange);

/* POST /admin/v1/login {"token":…}, POST /admin/v1/logout */
void admin_handle_login(struct exchange *exchange);
void admin_handle_logout(struct exchange *exchange);
