/* SPDX-License-Identifier: Apache-2.0 */
#include "api/session.h"

#include <openssl/crypto.h>
#include <string.h>

#include "lib/base.h"

static void make_id(struct random_source *random, char id[SESSION_ID_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[SESSION_ID_BYTES / 2];
    random_fill(random, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = digits[bytes[i] >> 4];
        id[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static bool is_open(const struct session *session, uint64_t now_ns) {
    return session->ends_ns > now_ns;
}

const struct session *session_open(struct sessions *sessions, struct random_source *random,
                                   uint64_t now_ns, uint64_t ends_ns) {
    ASSERT(ends_ns > now_ns);
    struct session *place = &sessions->places[0];
    for (size_t i = 1; i < SESSIONS_MAX; i++)
        if (sessions->places[i].ends_ns < place->ends_ns) place = &sessions->places[i];
    make_id(random, place->id);
    place->ends_ns = ends_ns;
    place->number = ++sessions->opened;
    return place;
}

struct session *session_find(struct sessions *sessions, struct slice id, uint64_t now_ns) {
    struct session *found = NULL;
    if (id.n != SESSION_ID_BYTES) return NULL;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *session = &sessions->places[i];
        bool is_equal = CRYPTO_memcmp(session->id, id.p, SESSION_ID_BYTES) == 0;
        if (is_equal && is_open(session, now_ns)) found = session;
    }
    return found;
}

bool session_is_alive(const struct sessions *sessions, uint64_t number, uint64_t now_ns) {
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (sessions->places[i].number == number) return is_open(&sessions->places[i], now_ns);
    return false;
}

void session_end(struct session *session) {
    OPENSSL_cleanse(session->id, sizeof session->id);
    session->ends_ns = 0;
}

uint32_t session_count(const struct sessions *sessions, uint64_t now_ns) {
    uint32_t count = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++) count += is_open(&sessions->places[i], now_ns);
    return count;
}

struct slice session_id_of_cookie(struct slice cookie) {
    static const struct slice name = {"coupond_session=", 16};
    const char *p = cookie.p, *end = cookie.p + cookie.n;
    while (p < end) {
        while (p < end && (*p == ' ' || *p == ';')) p++;
        const char *stop = p == end ? NULL : memchr(p, ';', (size_t)(end - p));
        if (stop == NULL) stop = end;
        struct slice pair = slice_of(p, (size_t)(stop - p));
        if (pair.n >= name.n && memcmp(pair.p, name.p, name.n) == 0)
            return slice_of(pair.p + name.n, pair.n - name.n);
        p = stop;
    }
    return slice_of("", 0);
}
