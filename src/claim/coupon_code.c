/* SPDX-License-Identifier: Apache-2.0
 *
 * Deriving codes with libcrypto's HMAC, checking their format, and the key files of a node. A
 * secret is wiped wherever it was copied. Called by the threads that answer (derive) and by
 * start-up (keys).
 */
#include "claim/coupon_code.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/secret_file.h"

enum { SHA256_BYTES = 32, KEY_FILE_BYTES = 2 * CODE_KEY_BYTES + 1, PATH_BYTES = 4096 };

/* ---- Formats ---- */

#define CROCKFORD_32 "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
const struct code_format code_format_default = {
    .alphabet = {CROCKFORD_32, sizeof(CROCKFORD_32) - 1}, .length = 16};

static bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static const char *prefix_problem(struct slice prefix) {
    if (prefix.n > CODE_PREFIX_BYTES_MAX) return "code.prefix is longer than 16 characters";
    for (size_t i = 0; i < prefix.n; i++) {
        if (!is_alphanumeric(prefix.p[i]) && prefix.p[i] != '-')
            return "code.prefix has a character that is not one of A-Z, a-z, 0-9 and -";
    }
    return NULL;
}

static const char *alphabet_problem(struct slice alphabet) {
    if (alphabet.n < 10) return "code.alphabet has fewer than 10 characters";
    if (alphabet.n > CODE_ALPHABET_BYTES_MAX) return "code.alphabet has more than 64 characters";
    for (size_t i = 0; i < alphabet.n; i++) {
        if (!is_alphanumeric(alphabet.p[i]))
            return "code.alphabet has a character that is not one of A-Z, a-z and 0-9";
        if (memchr(alphabet.p, alphabet.p[i], i) != NULL)
            return "code.alphabet has the same character twice";
    }
    return NULL;
}

static const char *length_problem(const struct code_format *format) {
    if (format->length > CODE_LENGTH_MAX) return "code.length is more than 64 characters";
    unsigned __int128 codes = 1;
    for (size_t i = 0; i < format->length; i++) {
        codes *= format->alphabet.n;
        if (codes >> 80 != 0) return NULL;
    }
    return "code.length is too short for this alphabet: a code needs 80 bits to be unguessable";
}

const char *code_format_problem(const struct code_format *format) {
    const char *problem = prefix_problem(format->prefix);
    if (problem == NULL) problem = alphabet_problem(format->alphabet);
    if (problem == NULL) problem = length_problem(format);
    return problem;
}

/* ---- Codes ---- */

struct coupon_deriver {
    EVP_MAC *mac;
    EVP_MAC_CTX *keyed; /* every code begins again from here */
};

struct coupon_deriver *coupon_deriver_new(const unsigned char key[CODE_KEY_BYTES]) {
    struct coupon_deriver *deriver = calloc(1, sizeof(*deriver));
    if (deriver == NULL) return NULL;
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                           OSSL_PARAM_construct_end()};
    deriver->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    deriver->keyed = EVP_MAC_CTX_new(deriver->mac);
    if (deriver->keyed == NULL || !EVP_MAC_init(deriver->keyed, key, CODE_KEY_BYTES, params)) {
        coupon_deriver_free(deriver);
        return NULL;
    }
    return deriver;
}

void coupon_deriver_free(struct coupon_deriver *deriver) {
    if (deriver == NULL) return;
    EVP_MAC_CTX_free(deriver->keyed); /* wipes the key */
    EVP_MAC_free(deriver->mac);
    free(deriver);
}

static void put_be32(unsigned char *out, uint32_t number) {
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(number >> (24 - 8 * i));
}

/* What a code is derived from, and the bytes of its current block that are still to be read. */
struct code_bytes {
    struct coupon_deriver *deriver;
    struct slice event_id;
    uint32_t serial, round, block;
    unsigned char bytes[SHA256_BYTES];
    size_t at;
};

static void derive_block(struct code_bytes *code) {
    static const char label[] = "coupond code 1"; /* hashed with its NUL */
    unsigned char tail[13] = {0};
    put_be32(tail + 1, code->serial);
    put_be32(tail + 5, code->round);
    put_be32(tail + 9, code->block);
    size_t tail_bytes = code->block == 0 ? 9 : 13;

    EVP_MAC_CTX *ctx = code->deriver->keyed;
    size_t bytes = 0;
    int good = EVP_MAC_init(ctx, NULL, 0, NULL) &&
               EVP_MAC_update(ctx, (const unsigned char *)label, sizeof(label)) &&
               EVP_MAC_update(ctx, (const unsigned char *)code->event_id.p, code->event_id.n) &&
               EVP_MAC_update(ctx, tail, tail_bytes) &&
               EVP_MAC_final(ctx, code->bytes, &bytes, sizeof(code->bytes));
    ASSERT(good && bytes == SHA256_BYTES); /* a wrong code must never be shown */
    code->block++;
    code->at = 0;
}

/* The next digit below `base`: a byte at or above the last multiple of base would favour the small
 * digits, and is passed over. */
static unsigned next_digit(struct code_bytes *code, unsigned base) {
    unsigned byte;
    do {
        if (code->at == SHA256_BYTES) derive_block(code);
        byte = code->bytes[code->at++];
    } while (byte >= 256 - 256 % base);
    return byte % base;
}

/* One step of Luhn mod N from the right: `digit` counts double in every second place. Luhn's sum of
 * the two digits of the double maps no two digits to the same only while `base` is even; in an odd
 * base the double mod base does. */
static unsigned luhn_weight(unsigned digit, unsigned base, bool doubled) {
    if (!doubled) return digit;
    unsigned twice = 2 * digit;
    return base % 2 == 0 ? twice / base + twice % base : twice % base;
}

/* The sum mod base over `n` characters of the alphabet, the last one doubled or not; base when a
 * character is not of the alphabet. */
static unsigned luhn_sum(const struct code_format *format, const char *text, size_t n,
                         bool doubled) {
    unsigned base = (unsigned)format->alphabet.n;
    unsigned sum = 0;
    for (size_t i = n; i-- > 0; doubled = !doubled) {
        const char *letter = memchr(format->alphabet.p, text[i], base);
        if (letter == NULL) return base;
        sum += luhn_weight((unsigned)(letter - format->alphabet.p), base, doubled);
    }
    return sum % base;
}

size_t coupon_code(struct coupon_deriver *deriver, const struct code_format *format,
                   struct slice event_id, uint32_t serial, uint32_t round, char *out) {
    struct code_bytes code = {.deriver = deriver,
                              .event_id = event_id,
                              .serial = serial,
                              .round = round,
                              .at = SHA256_BYTES};
    unsigned base = (unsigned)format->alphabet.n;
    if (format->prefix.n > 0) memcpy(out, format->prefix.p, format->prefix.n);
    char *digits = out + format->prefix.n;
    for (size_t i = 0; i < format->length; i++)
        digits[i] = format->alphabet.p[next_digit(&code, base)];
    unsigned sum = luhn_sum(format, digits, format->length, true);
    digits[format->length] = format->alphabet.p[(base - sum) % base];
    return format->prefix.n + format->length + 1;
}

bool coupon_code_is_plausible(const struct code_format *format, struct slice code) {
    size_t digits = (size_t)format->length + 1;
    if (code.n != format->prefix.n + digits) return false;
    if (!slice_eq(slice_of(code.p, format->prefix.n), format->prefix)) return false;
    return luhn_sum(format, code.p + format->prefix.n, digits, false) == 0;
}

/* ---- Keys ---- */

uint64_t code_key_id(const unsigned char key[CODE_KEY_BYTES]) {
    static const char label[] = "coupond key id 1"; /* hashed with its NUL */
    unsigned char text[sizeof(label) + CODE_KEY_BYTES];
    unsigned char digest[SHA256_BYTES];
    memcpy(text, label, sizeof(label));
    memcpy(text + sizeof(label), key, CODE_KEY_BYTES);
    int good = EVP_Digest(text, sizeof(text), digest, NULL, EVP_sha256(), NULL);
    OPENSSL_cleanse(text, sizeof(text));
    ASSERT(good);
    uint64_t id = 0;
    for (int i = 0; i < 8; i++) id = id << 8 | digest[i];
    return id;
}

const unsigned char *code_keys_find(const struct code_keys *keys, uint64_t id) {
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].id == id) return keys->keys[i].key;
    }
    return NULL;
}

/* The names of the key files in a folder, up to as many as a node may hold. */
struct key_names {
    size_t count; /* may be more than there is room for */
    char names[ARRAY_LEN(((struct code_keys *)0)->keys)][NAME_MAX + 1];
};

static void on_name(void *ctx, const char *name) {
    struct key_names *found = ctx;
    size_t n = strlen(name);
    if (n <= 4 || n > NAME_MAX || strcmp(name + n - 4, ".key") != 0) return;
    if (found->count < ARRAY_LEN(found->names)) memcpy(found->names[found->count], name, n + 1);
    found->count++;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

static int list_key_files(struct key_names *found, const char *folder, struct err *err) {
    *found = (struct key_names){0};
    int result = disk_system.list(&disk_system, folder, on_name, found);
    if (result != 0)
        return err_set(err, result, "cannot list the folder of keys %s: %s", folder,
                       strerror(-result));
    if (found->count > ARRAY_LEN(found->names))
        return err_set(err, -E2BIG, "%s has %zu key files, at most %zu can be held", folder,
                       found->count, ARRAY_LEN(found->names));
    qsort(found->names, found->count, sizeof(found->names[0]), compare_names);
    return 0;
}

/* The value of a hexadecimal digit, or -1. */
static int hex_value(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *at = memchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c, 16);
    return at == NULL ? -1 : (int)(at - digits);
}

static bool parse_key(const char text[KEY_FILE_BYTES], unsigned char key[CODE_KEY_BYTES]) {
    for (size_t i = 0; i < CODE_KEY_BYTES; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        key[i] = (unsigned char)(high << 4 | low);
    }
    return text[KEY_FILE_BYTES - 1] == '\n';
}

static int read_key(int fd, const char *path, unsigned char key[CODE_KEY_BYTES], struct err *err) {
    char text[KEY_FILE_BYTES + 1];
    ssize_t n = read(fd, text, sizeof(text)); /* one byte more: nothing may follow the key */
    bool good = n == KEY_FILE_BYTES && parse_key(text, key);
    OPENSSL_cleanse(text, sizeof(text));
    if (good) return 0;
    return err_set(err, -EBADMSG,
                   "the key file %s is not 64 hexadecimal digits and a newline: restore it from its "
                   "backup or from another node",
                   path);
}

static int load_key(struct code_keys *keys, const char *folder, const char *name, struct err *err) {
    char path[PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "the path of the key file %s is too long", name);
    int fd = secret_file_open(path, err);
    if (fd < 0) return fd;
    unsigned char *key = keys->keys[keys->count].key;
    int result = read_key(fd, path, key, err);
    close(fd);
    if (result != 0) return result;
    keys->current = keys->keys[keys->count].id = code_key_id(key);
    keys->count++;
    return 0;
}

static int load_all(struct code_keys *keys, const char *folder, struct err *err) {
    struct key_names found;
    int result = list_key_files(&found, folder, err);
    for (size_t i = 0; result == 0 && i < found.count; i++)
        result = load_key(keys, folder, found.names[i], err);
    if (result != 0) OPENSSL_cleanse(keys, sizeof(*keys));
    return result;
}

int code_keys_load(struct code_keys *keys, const char *folder, bool create,
                   struct random_source *random, struct err *err) {
    *keys = (struct code_keys){0};
    int result = load_all(keys, folder, err);
    if (result != 0 || keys->count > 0) return result;
    if (!create)
        return err_set(err, -ENOENT,
                       "%s has no key file: restore the files *.key from a backup or from another "
                       "node, mode 600; without them the codes of its events cannot be told",
                       folder);
    result = secret_file_create(folder, "code-1.key", random, err);
    return result != 0 ? result : load_all(keys, folder, err);
}
