/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens of the users of a load run, as a server with --auth jwt asks for: each signed when it is
 * sent, with the HS256 secret that the server checks it with. All tokens of a run are equally long
 * when its user ids are.
 *
 * Made once; then any thread may write tokens.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base.h"
#include "lib/err.h"
#include "lib/slice.h"

enum {
    SIGNER_TOKEN_BYTES_MAX = 1024,
    SIGNER_KEY_ID_BYTES_MAX = 256,   /* as JSON */
    SIGNER_AUDIENCE_BYTES_MAX = 256, /* as JSON */
};

struct load_signer;

/* Takes the first HS256 secret of the file at `key_file` (lib/bearer_keys.h). Tokens are for
 * `audience` (NULL: nobody in particular) and end at `expires_s`. NULL with a sentence in err. */
struct load_signer *load_signer_new(const char *key_file, const char *audience, int64_t expires_s,
                                    struct err *err) MUST_CHECK;
void load_signer_free(struct load_signer *signer);

/* Writes the token of a user at `out` (room for SIGNER_TOKEN_BYTES_MAX); its length. The id must
 * need no escape in JSON, as the ids of the contract do not. */
size_t load_signer_write(const struct load_signer *signer, struct slice user_id, char *out);
