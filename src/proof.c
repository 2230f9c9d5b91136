/* SPDX-License-Identifier: Apache-2.0 */
#include "proof.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster_proof.h"
#include "rebuild.h"

int proof_copy_path(const struct options *options, char out[PATH_MAX], struct err *err) {
    const char *name = options_get(options, "sqlite")->text;
    const char *folder = options_get(options, "data-dir")->text;
    bool is_bare = strchr(name, '/') == NULL;
    out[0] = '\0';
    if (strcmp(name, "none") == 0) return 0;
    int bytes = snprintf(out, PATH_MAX, "%s%s%s", is_bare ? folder : "", is_bare ? "/" : "", name);
    if (bytes > 0 && bytes < PATH_MAX) return 0;
    return err_set(err, -EINVAL, "--sqlite: the name is too long");
}

int proof_init(struct proof *proof, const struct options *options, struct err *err) {
    const char *folder = options_get(options, "data-dir")->text;
    *proof = (struct proof){0};
    int code = proof_copy_path(options, proof->copy_path, err);
    if (code == 0) code = decisions_folder_init(&proof->log, folder, err);
    if (code != 0) return code;
    proof->sources.log =
        (struct log_source){.ctx = &proof->log, .name = folder, .read = decisions_read};
    proof->copy.path = proof->copy_path;
    if (proof->copy_path[0] == '\0') return 0;
    proof->sources.copy = (struct copy_source){.ctx = &proof->copy,
                                               .name = proof->copy_path,
                                               .open = sqlite_reader_open,
                                               .rows = sqlite_reader_rows,
                                               .close = sqlite_reader_close};
    return 0;
}

void proof_deinit(struct proof *proof) {
    decisions_folder_deinit(&proof->log);
}

/* ---- cluster mode ---- */

static int cluster_proof_command(const struct options *options, int words, char **word) {
    static struct cluster_proof proof;
    struct err err = {0};
    uint32_t stall_ms = (uint32_t)options_get(options, "timeout")->number;
    int code = cluster_proof_init(&proof, options, stall_ms, &err);
    if (code == 0) code = cluster_proof_reserve(&proof, options, stall_ms, 0, &err);
    int status = code == -EINVAL ? 2 : 1;
    if (code == 0)
        status = verify_command(options, words, word, &proof.sources);
    else
        fprintf(stderr, "coupond verify: %s\n", err.text);
    cluster_proof_deinit(&proof);
    return status;
}

int proof_command(const struct options *options, int words, char **word) {
    if (options_get(options, "rebuild")->text != NULL) return rebuild_command(options, words, word);
    if (strcmp(options_get(options, "mode")->text, "cluster") == 0)
        return cluster_proof_command(options, words, word);
    struct proof proof;
    struct err err = {0};
    int code = proof_init(&proof, options, &err);
    if (code != 0) {
        fprintf(stderr, "coupond verify: %s\n", err.text);
        return code == -EINVAL ? 2 : 1;
    }
    int status = verify_command(options, words, word, &proof.sources);
    proof_deinit(&proof);
    return status;
}
