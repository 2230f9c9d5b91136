/* SPDX-License-Identifier: Apache-2.0
 *
 * The Redis Cluster that options name, for every command that uses one.
 */
#pragma once

#include "claim/snapshot.h"
#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"
#include "lib/tls.h"
#include "lib/token.h"

struct redis_settings {
    const char *seeds, *user, *password; /* NULL where there is none */
    struct tls_client *tls;              /* NULL: in the clear */
    char password_text[TOKEN_BYTES_MAX];
};

/* -EINVAL when options that belong together are not. Changes nothing. */
int redis_settings_check(const struct options *options, struct err *err) MUST_CHECK;

/* Reads --redis…; `options` must live as long, and `settings` stay where it is. 0, or a negative
 * errno with the option's name. */
int redis_settings_init(struct redis_settings *settings, const struct options *options,
                        struct err *err) MUST_CHECK;
/* For claim/snapshot.h: each question waits for `timeout_ms`. Its texts are those of `settings`. */
struct snapshots_options redis_settings_snapshots(const struct redis_settings *settings,
                                                  uint32_t timeout_ms);
/* Also after a failure, or of zeroed memory. */
void redis_settings_deinit(struct redis_settings *settings);
