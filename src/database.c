/* SPDX-License-Identifier: Apache-2.0 */
#include "database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "password_file.h"
#include "record/mariadb_schema.h"

enum { EXIT_USAGE = 2, DATABASE_TIMEOUT_MS = 10000 };

/* ---- Options ---- */

int database_init(struct database *database, const struct options *options, struct err *err) {
    struct err why = {0};
    const char *servers = options_get(options, "database")->text;
    const char *password_file = options_get(options, "database-password-file")->text;
    const char *ca_file = options_get(options, "database-ca")->text;
    *database = (struct database){0};
    if (servers == NULL)
        return err_set(err, -EINVAL, "--database HOST:PORT says where the database is");
    if (maria_servers_check(servers, &why) != 0)
        return err_set(err, -EINVAL, "--database: %s", why.text);
    if (ca_file != NULL && access(ca_file, R_OK) != 0)
        return err_set(err, -EINVAL, "--database-ca: cannot read %s: %s", ca_file, strerror(errno));
    int code = password_file == NULL ? 0
                                     : password_file_read("database-password-file", password_file,
                                                          database->password, err);
    database->options = (struct maria_options){
        .servers = servers,
        .name = options_get(options, "database-name")->text,
        .user = options_get(options, "database-user")->text,
        .password = database->password,
        .ca_file = ca_file,
        .timeout_ms = DATABASE_TIMEOUT_MS,
    };
    return code;
}

void database_deinit(struct database *database) {
    explicit_bzero(database->password, sizeof database->password);
}

/* ---- coupond schema ---- */

static void say_applied(void *ctx, const char *name) {
    (void)ctx;
    printf("applied  %s\n", name);
}

static enum maria_class apply(struct maria *db, struct err *err) {
    enum maria_class class = maria_schema_apply(db, &clock_system, say_applied, NULL, err);
    if (class == MARIA_FINE)
        printf("%s: has all %zu migrations\n", maria_name(db), maria_migrations_count);
    return class;
}

/* `*is_missing`: some are not applied. */
static enum maria_class show_status(struct maria *db, bool *is_missing, struct err *err) {
    size_t applied = 0;
    enum maria_class class = maria_schema_check(db, &applied, err);
    if (class != MARIA_FINE) return class;
    for (size_t i = 0; i < maria_migrations_count; i++)
        printf("%s  %s\n", i < applied ? "applied" : "missing", maria_migrations[i].name);
    *is_missing = applied < maria_migrations_count;
    return class;
}

static int run_schema(struct maria *db, bool applies) {
    struct err err = {0};
    bool is_missing = false;
    enum maria_class class = maria_connect(db, &err);
    if (class == MARIA_FINE) class = applies ? apply(db, &err) : show_status(db, &is_missing, &err);
    if (class == MARIA_FINE) return is_missing ? EXIT_FAILURE : EXIT_SUCCESS;
    fprintf(stderr, "coupond schema: %s\n", err.text);
    return EXIT_FAILURE;
}

int schema_command(const struct options *options, int words, char **word) {
    struct database database;
    struct err err = {0};
    bool is_verb = words == 1 && (strcmp(word[0], "apply") == 0 || strcmp(word[0], "status") == 0);
    if (!is_verb) {
        fprintf(stderr, "coupond schema: say apply or status; see coupond schema --help\n");
        return EXIT_USAGE;
    }
    int code = database_init(&database, options, &err);
    if (code != 0) {
        fprintf(stderr, "coupond schema: %s\n", err.text);
        return code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    database.options.only_reads = strcmp(word[0], "status") == 0;
    struct maria *db = maria_new(&database.options);
    int status = db == NULL ? EXIT_FAILURE : run_schema(db, strcmp(word[0], "apply") == 0);
    maria_free(db);
    database_deinit(&database);
    return status;
}
