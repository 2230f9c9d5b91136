/* SPDX-License-Identifier: Apache-2.0
 *
 * The log in Kafka that options name, for every command that uses one.
 */
#pragma once

#include "lib/base.h"
#include "lib/err.h"
#include "lib/options.h"
#include "lib/token.h"
#include "log/kafka.h"

struct kafka_settings {
    struct kafka_options options;
    char password[TOKEN_BYTES_MAX];
};

/* Reads --kafka…; `options` must live as long, and `settings` stay where it is. 0, or -EINVAL with
 * the option's name, or the failure to read the password. */
int kafka_settings_init(struct kafka_settings *settings, const struct options *options,
                        struct err *err) MUST_CHECK;
void kafka_settings_deinit(struct kafka_settings *settings);
