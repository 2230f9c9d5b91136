/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

struct tls_client {
    SSL_CTX *context;
};

struct tls {
    SSL *ssl;
    BIO *in, *out; /* the connection's own, freed with it */
    char problem[160];
};

/* The first thing that OpenSSL has to say about what just failed; the rest is dropped. */
static const char *openssl_words(char *out, size_t bytes) {
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    if (reason != NULL)
        snprintf(out, bytes, "%s", reason);
    else
        ERR_error_string_n(code, out, bytes);
    ERR_clear_error();
    return out;
}

static int cannot_use(struct err *err, const char *what, const char *file) {
    char words[160];
    return err_set(err, -EINVAL, "cannot use the %s in %s: %s", what, file,
                   openssl_words(words, sizeof words));
}

static int load_files(SSL_CTX *context, const char *authority, const char *certificate,
                      const char *key, struct err *err) {
    if (SSL_CTX_load_verify_file(context, authority) != 1)
        return cannot_use(err, "certificates", authority);
    if (certificate == NULL) return 0;
    if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
        return cannot_use(err, "certificate", certificate);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return cannot_use(err, "key", key);
    return 0;
}

int tls_client_new(struct tls_client **client, const char *authority, const char *certificate,
                   const char *key, struct err *err) {
    ASSERT((certificate == NULL) == (key == NULL));
    *client = calloc(1, sizeof **client);
    SSL_CTX *context = *client == NULL ? NULL : SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        free(*client);
        *client = NULL;
        return err_set(err, -ENOMEM, "no memory for TLS");
    }
    (*client)->context = context;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    int code = load_files(context, authority, certificate, key, err);
    if (code == 0) return 0;
    tls_client_free(*client);
    *client = NULL;
    return code;
}

void tls_client_free(struct tls_client *client) {
    if (client == NULL) return;
    SSL_CTX_free(client->context);
    free(client);
}

struct tls *tls_new(struct tls_client *client) {
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL) return NULL;
    tls->ssl = SSL_new(client->context);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        free(tls);
        return NULL;
    }
    BIO_set_mem_eof_return(tls->in, -1); /* empty means "not now" */
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    return tls;
}

void tls_free(struct tls *tls) {
    if (tls == NULL) return;
    SSL_free(tls->ssl);
    free(tls);
}

bool tls_feed(struct tls *tls, const void *bytes, size_t n) {
    size_t written = 0;
    return n == 0 || (BIO_write_ex(tls->in, bytes, n, &written) == 1 && written == n);
}

/* -EAGAIN, 0 for a proper end, or -EPROTO with its reason. */
static int why(struct tls *tls, int result) {
    int error = SSL_get_error(tls->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return -EAGAIN;
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    openssl_words(tls->problem, sizeof tls->problem);
    return -EPROTO;
}

int tls_handshake(struct tls *tls) {
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) return 0;
    int code = why(tls, result);
    return code == 0 ? -EPROTO : code;
}

ssize_t tls_read(struct tls *tls, void *to, size_t bytes) {
    size_t n = 0;
    int result = SSL_read_ex(tls->ssl, to, bytes, &n);
    return result == 1 ? (ssize_t)n : why(tls, result);
}

int tls_write(struct tls *tls, const void *from, size_t bytes) {
    const char *p = from;
    while (bytes > 0) {
        size_t n = 0;
        if (SSL_write_ex(tls->ssl, p, bytes, &n) != 1) {
            why(tls, 0);
            return -EPROTO;
        }
        p += n;
        bytes -= n;
    }
    return 0;
}

void tls_take(struct tls *tls, struct buf *out) {
    char *bytes;
    long n = BIO_get_mem_data(tls->out, &bytes);
    if (n <= 0) return;
    buf_add(out, bytes, (size_t)n);
    (void)BIO_reset(tls->out);
}

const char *tls_problem(const struct tls *tls) {
    return tls->problem;
}
