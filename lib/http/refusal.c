/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/refusal.h"

#define ROW(name, status, code, text) [REFUSED_##name] = {status, code, text},
const struct http_refusal http_refusals[] = {HTTP_REFUSALS(ROW)};
#undef ROW
