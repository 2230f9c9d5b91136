/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base.h"

/* The text of a file of /proc, cut to what fits. */
static void read_text(const char *path, char *text, size_t room) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
    text[n < 0 ? 0 : n] = '\0';
    if (fd >= 0) close(fd);
}

/* When the machine was started, in seconds since 1970. */
static double boot_s(void) {
    char line[256];
    unsigned long long seconds = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) return 0;
    while (seconds == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "btime ", 6) == 0) seconds = strtoull(line + 6, NULL, 10);
    fclose(file);
    return (double)seconds;
}

/* The fields of proc(5)'s stat, counted from 1; the second, the name, may hold anything but is the
 * last one with a parenthesis. */
void process_read(struct process_usage *usage) {
    *usage = (struct process_usage){0};
    enum { USER = 14, SYSTEM = 15, THREADS = 20, START = 22, VIRTUAL = 23, RESIDENT = 24 };
    char text[1024];
    read_text("/proc/self/stat", text, sizeof text);
    unsigned long long fields[RESIDENT + 1] = {0};
    char *at = strrchr(text, ')');
    for (int i = 3; at != NULL && i <= RESIDENT; i++) {
        at = strchr(at, ' ');
        if (at == NULL) return;
        fields[i] = strtoull(++at, NULL, 10);
    }
    if (at == NULL) return;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    usage->cpu_s = (double)(fields[USER] + fields[SYSTEM]) / ticks;
    usage->start_s = boot_s() + (double)fields[START] / ticks;
    usage->threads = fields[THREADS];
    usage->virtual_bytes = fields[VIRTUAL];
    usage->resident_bytes = fields[RESIDENT] * (unsigned long long)sysconf(_SC_PAGESIZE);
}

uint64_t process_open_fds(void) {
    struct stat status;
    /* Newer kernels tell their number as the size of the directory. */
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0) return (uint64_t)status.st_size;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) return 0;
    uint64_t count = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.') count++;
    closedir(folder);
    return count - 1; /* not the one that reads the list */
}

uint64_t process_max_fds(void) {
    struct rlimit files = {0};
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? (uint64_t)files.rlim_cur : 0;
}
