/* SPDX-License-Identifier: Apache-2.0 */
#include "record/mariadb.h"

#include <errno.h>
#include <inttypes.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 400, HOST_BYTES = 256 };

struct maria {
    struct maria_options options;
    MYSQL *session; /* NULL while closed */
    unsigned error_number;
    char name[NAME_BYTES];
};

/* ---- Servers ---- */

struct server {
    char host[HOST_BYTES];
    unsigned port;
};

/* "host:port" or "[address]:port". */
static bool parse_server(struct slice text, struct server *server) {
    struct slice port = slice_cut_last(&text, ':');
    char digits[6] = "";
    if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = slice_of(text.p + 1, text.n - 2);
    if (text.n == 0 || text.n >= HOST_BYTES || port.n == 0 || port.n >= sizeof digits) return false;
    for (size_t i = 0; i < port.n; i++)
        if (port.p[i] < '0' || port.p[i] > '9') return false;
    memcpy(digits, port.p, port.n);
    memcpy(server->host, text.p, text.n);
    server->host[text.n] = '\0';
    server->port = (unsigned)strtoul(digits, NULL, 10);
    return server->port >= 1 && server->port <= UINT16_MAX;
}

/* How many there are; 0 when the list is none. */
static size_t parse_servers(const char *list, struct server servers[MARIA_SERVERS_MAX]) {
    struct slice rest = slice_str(list);
    size_t count = 0;
    do {
        if (count == MARIA_SERVERS_MAX) return 0;
        if (!parse_server(slice_trim(slice_cut(&rest, ',')), &servers[count++])) return 0;
    } while (rest.n != 0);
    return count;
}

int maria_servers_check(const char *servers, struct err *err) {
    struct server parsed[MARIA_SERVERS_MAX];
    if (parse_servers(servers, parsed) != 0) return 0;
    return err_set(err, -EINVAL, "\"%.100s\" is not HOST:PORT, or up to %d of them with commas",
                   servers, MARIA_SERVERS_MAX);
}

/* ---- Failures ---- */

static int errno_of(enum maria_class class) {
    return class == MARIA_TRANSIENT ? -EAGAIN : class == MARIA_CONFLICT ? -EEXIST : -EIO;
}

static enum maria_class failed(struct maria *db, const char *what, struct err *err) {
    db->error_number = mysql_errno(db->session);
    enum maria_class class = maria_class_of(db->error_number);
    if (class == MARIA_FINE) class = MARIA_FATAL; /* the library has said nothing: never fine */
    err_set(err, errno_of(class), "database %s: %s: %s (error %u)", db->name, what,
            mysql_error(db->session), db->error_number);
    err->retriable = class == MARIA_TRANSIENT;
    return class;
}

static bool is_of_connection(unsigned error_number) {
    return error_number >= 2000 && error_number < 3000;
}

/* ---- Life ---- */

struct maria *maria_new(const struct maria_options *options) {
    struct maria *db = calloc(1, sizeof *db);
    if (db == NULL) return NULL;
    db->options = *options;
    snprintf(db->name, sizeof db->name, "%.300s/%.64s", options->servers, options->name);
    return db;
}

void maria_close(struct maria *db) {
    if (db->session != NULL) mysql_close(db->session);
    db->session = NULL;
}

void maria_free(struct maria *db) {
    if (db == NULL) return;
    maria_close(db);
    free(db);
}

bool maria_is_open(const struct maria *db) {
    return db->session != NULL;
}

const char *maria_name(const struct maria *db) {
    return db->name;
}

unsigned maria_error_number(const struct maria *db) {
    return db->error_number;
}

/* ---- Connecting ---- */

static MYSQL *new_session(const struct maria_options *options) {
    MYSQL *session = mysql_init(NULL);
    if (session == NULL) return NULL;
    unsigned seconds = (options->timeout_ms + 999) / 1000;
    my_bool off = 0, on = 1;
    unsigned no_files = 0, protocol = MYSQL_PROTOCOL_TCP;
    mysql_optionsv(session, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    mysql_optionsv(session, MYSQL_OPT_READ_TIMEOUT, &seconds);
    mysql_optionsv(session, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
    mysql_optionsv(session, MYSQL_OPT_RECONNECT, &off);
    mysql_optionsv(session, MYSQL_OPT_LOCAL_INFILE, &no_files);
    mysql_optionsv(session, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_optionsv(session, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (options->ca_file == NULL) return session;
    mysql_optionsv(session, MYSQL_OPT_SSL_CA, options->ca_file);
    mysql_optionsv(session, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_optionsv(session, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &on);
    return session;
}

static void take_number(void *ctx, const struct slice *columns, unsigned count) {
    if (count > 0) *(uint64_t *)ctx = maria_u64(columns[0]);
}

static enum maria_class set_session(struct maria *db, bool *is_read_only, struct err *err) {
    static const char set[] =
        "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION', autocommit = 1, "
        "foreign_key_checks = 1, unique_checks = 1, time_zone = '+00:00', "
        "innodb_lock_wait_timeout = 5, lock_wait_timeout = 5";
    uint64_t read_only = 0;
    enum maria_class class = maria_run_text(db, set, err);
    if (class == MARIA_FINE)
        class = maria_run_text(db, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", err);
    if (class == MARIA_FINE)
        class = maria_ask(db, SLICE("SELECT @@global.read_only"), take_number, &read_only, err);
    *is_read_only = read_only != 0;
    return class;
}

static enum maria_class connect_to(struct maria *db, const struct server *server, struct err *err) {
    const struct maria_options *options = &db->options;
    maria_close(db);
    snprintf(db->name, sizeof db->name, "%.255s:%u/%.64s", server->host, server->port,
             options->name);
    db->session = new_session(options);
    if (db->session == NULL) {
        err_set(err, -ENOMEM, "database %s: no memory", db->name);
        return MARIA_TRANSIENT;
    }
    bool is_read_only = false;
    enum maria_class class = MARIA_FINE;
    if (mysql_real_connect(db->session, server->host, options->user, options->password,
                           options->name, server->port, NULL, CLIENT_FOUND_ROWS) == NULL)
        class = failed(db, "cannot connect", err);
    if (class == MARIA_FINE) class = set_session(db, &is_read_only, err);
    if (class == MARIA_FINE && is_read_only && !options->only_reads) {
        err_set(err, -EROFS, "database %s: is read-only now", db->name);
        err->retriable = true;
        class = MARIA_TRANSIENT;
    }
    if (class != MARIA_FINE) maria_close(db);
    return class;
}

/* As long as one of them may let us in later it is worth waiting, whatever the others say: a replica
 * may not know its users yet. What is told is what waiting does not mend. */
enum maria_class maria_connect(struct maria *db, struct err *err) {
    struct server servers[MARIA_SERVERS_MAX];
    size_t count = parse_servers(db->options.servers, servers), away = 0, hopeless = 0;
    struct err why = {0};
    for (size_t i = 0; i < count; i++) {
        enum maria_class class = connect_to(db, &servers[i], &why);
        if (class == MARIA_FINE) return class;
        bool is_away = class == MARIA_TRANSIENT;
        if (is_away ? away + hopeless == 0 : hopeless == 0) *err = why;
        away += is_away;
        hopeless += !is_away;
    }
    if (count == 0) err_set(err, -EINVAL, "no database is named");
    err->retriable = away != 0;
    return away != 0 ? MARIA_TRANSIENT : MARIA_FATAL;
}

/* ---- Statements ---- */

static enum maria_class send(struct maria *db, struct slice sql, struct err *err) {
    db->error_number = 0;
    if (db->session == NULL) {
        err_set(err, -EAGAIN, "database %s: is not connected", db->name);
        return MARIA_TRANSIENT;
    }
    if (mysql_real_query(db->session, sql.p, (unsigned long)sql.n) == 0) return MARIA_FINE;
    return failed(db, "cannot do what it was told", err);
}

static enum maria_class after(struct maria *db, enum maria_class class) {
    if (class != MARIA_FINE && is_of_connection(db->error_number)) maria_close(db);
    return class;
}

enum maria_class maria_run(struct maria *db, struct slice sql, uint64_t *hit, struct err *err) {
    enum maria_class class = send(db, sql, err);
    if (class != MARIA_FINE) return after(db, class);
    if (hit != NULL) *hit = mysql_affected_rows(db->session);
    return MARIA_FINE;
}

enum maria_class maria_run_text(struct maria *db, const char *sql, struct err *err) {
    return maria_run(db, slice_str(sql), NULL, err);
}

enum { COLUMNS_MAX = 32 };

static void hand_on(MYSQL_RES *result, MYSQL_ROW row, maria_row_fn on_row, void *ctx) {
    struct slice columns[COLUMNS_MAX];
    unsigned count = mysql_num_fields(result);
    const unsigned long *lengths = mysql_fetch_lengths(result);
    ASSERT(count <= COLUMNS_MAX); /* our own statements */
    for (unsigned i = 0; i < count; i++) columns[i] = slice_of(row[i], lengths[i]);
    on_row(ctx, columns, count);
}

enum maria_class maria_ask(struct maria *db, struct slice sql, maria_row_fn on_row, void *ctx,
                           struct err *err) {
    enum maria_class class = send(db, sql, err);
    if (class != MARIA_FINE) return after(db, class);
    MYSQL_RES *result = mysql_use_result(db->session);
    if (result == NULL) return after(db, failed(db, "cannot answer", err));
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(result)) != NULL) hand_on(result, row, on_row, ctx);
    if (mysql_errno(db->session) != 0) class = failed(db, "broke off its answer", err);
    mysql_free_result(result);
    return after(db, class);
}

/* ---- Values ---- */

/* Backslashes escape: NO_BACKSLASH_ESCAPES is not in the mode of our sessions. Every byte that ends
 * or bends a string is ASCII, and in UTF-8 no byte of another character is. */
void maria_add_text(struct buf *sql, struct slice text) {
    buf_add_text(sql, "'");
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\0')
            buf_add_text(sql, "\\0");
        else if (c == '\'' || c == '\\')
            buf_add(sql, (char[]){'\\', c}, 2);
        else
            buf_add(sql, &c, 1);
    }
    buf_add_text(sql, "'");
}

void maria_add_text_or_null(struct buf *sql, struct slice text) {
    if (text.n == 0)
        buf_add_text(sql, "NULL");
    else
        maria_add_text(sql, text);
}

void maria_add_bytes(struct buf *sql, struct slice bytes) {
    static const char digits[] = "0123456789abcdef";
    buf_add_text(sql, "x'");
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char byte = (unsigned char)bytes.p[i];
        buf_add(sql, (char[]){digits[byte >> 4], digits[byte & 15]}, 2);
    }
    buf_add_text(sql, "'");
}

void maria_add_i64(struct buf *sql, int64_t number) {
    buf_printf(sql, "%" PRId64, number);
}

uint64_t maria_u64(struct slice column) {
    uint64_t number = 0;
    for (size_t i = 0; i < column.n && column.p[i] >= '0' && column.p[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(column.p[i] - '0');
    return number;
}

int64_t maria_i64(struct slice column) {
    bool is_negative = column.n > 0 && column.p[0] == '-';
    if (is_negative) column = slice_of(column.p + 1, column.n - 1);
    int64_t number = (int64_t)maria_u64(column);
    return is_negative ? -number : number;
}
