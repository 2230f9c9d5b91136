/* SPDX-License-Identifier: Apache-2.0
 *
 * The status page and its log-in page, on the admin listener. The files of src/api/pages/ are in
 * the program: meson turns them into page_files.
 */
#pragma once

#include "api/connection.h"

struct page_file {
    struct slice name; /* "console.js" */
    struct slice type;
    const unsigned char *bytes;
    size_t n;
};
extern const struct page_file page_files[];
extern const size_t page_files_count;

/* The header lines of every reply of the admin listener: what a browser may do with it. Scripts and
 * styles come from files of this origin and from nowhere else. */
extern const struct slice page_fields;

/* GET /: the status page, or to who has no session the log-in page. */
void page_handle(struct exchange *exchange);
/* GET /console/{file}: what the pages are made of; there is no secret in it. */
void page_handle_file(struct exchange *exchange);
