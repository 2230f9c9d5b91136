/* SPDX-License-Identifier: Apache-2.0
 *
 * Gives every file of the folders named on the command line to a fuzz target, once. This is how the
 * normal test run replays a corpus and the inputs that failed before; no fuzzer is needed for it.
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base.h"

static size_t file_bytes(FILE *file, const char *path) {
    struct stat status;
    if (fstat(fileno(file), &status) != 0) {
        perror(path);
        exit(1);
    }
    return (size_t)status.st_size;
}

static void replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    const size_t n = file_bytes(file, path);
    uint8_t *bytes = malloc(n + (n == 0));
    ASSERT(bytes != NULL);
    if (fread(bytes, 1, n, file) != n) {
        fprintf(stderr, "%s: cannot be read whole\n", path);
        exit(1);
    }
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
}

/* How many files there are. */
static size_t replay_folder(const char *folder) {
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        perror(folder);
        exit(1);
    }
    size_t files_count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        replay_file(path);
        files_count++;
    }
    closedir(directory);
    return files_count;
}

int main(int argc, char **argv) {
    size_t files_count = 0;
    for (int i = 1; i < argc; i++) files_count += replay_folder(argv[i]);
    printf("%zu inputs replayed\n", files_count);
    return files_count > 0 ? 0 : 1;
}
