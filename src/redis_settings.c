/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_settings.h"

#include <errno.h>
#include <string.h>

#include "password_file.h"

static const char *text(const struct options *options, const char *name) {
    return options_get(options, name)->text;
}

int redis_settings_check(const struct options *options, struct err *err) {
    if ((text(options, "redis-user") == NULL) != (text(options, "redis-password-file") == NULL))
        return err_set(err, -EINVAL, "--redis-user and --redis-password-file need each other");
    return 0;
}

int redis_settings_init(struct redis_settings *settings, const struct options *options,
                        struct err *err) {
    const char *password_file = text(options, "redis-password-file");
    const char *authority = text(options, "redis-ca");
    struct err why = {0};
    *settings = (struct redis_settings){.seeds = text(options, "redis"),
                                        .user = text(options, "redis-user")};
    int code = redis_settings_check(options, err);
    if (code == 0 && password_file != NULL) {
        code =
            password_file_read("redis-password-file", password_file, settings->password_text, err);
        settings->password = settings->password_text;
    }
    if (code == 0 && authority != NULL &&
        (code = tls_client_new(&settings->tls, authority, NULL, NULL, &why)) != 0)
        err_set(err, code, "--redis-ca: %s", why.text);
    return code;
}

struct snapshots_options redis_settings_snapshots(const struct redis_settings *settings,
                                                  uint32_t timeout_ms) {
    return (struct snapshots_options){.seeds = settings->seeds,
                                      .user = settings->user,
                                      .password = settings->password,
                                      .tls = settings->tls,
                                      .timeout_ms = timeout_ms};
}

void redis_settings_deinit(struct redis_settings *settings) {
    tls_client_free(settings->tls);
    settings->tls = NULL;
    explicit_bzero(settings->password_text, sizeof settings->password_text);
}
