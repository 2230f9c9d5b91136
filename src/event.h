/* SPDX-License-Identifier: Apache-2.0
 *
 * `coupond event …`: at a server's admin routes (api/admin_client.h), or, with --from-database, what
 * the database has recorded of an event: its export, and one user's coupon.
 */
#pragma once

#include "lib/options.h"

/* The exit status is that of admin_client_command; of a user who holds no coupon it is 1. */
int event_command(const struct options *options, int words, char **word);
