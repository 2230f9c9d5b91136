/* SPDX-License-Identifier: Apache-2.0
 *
 * A medium is what was synced, and a list of changes that were not. An image is one choice of a
 * fate for each of those.
 */
#include "sim/disk_trace.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base.h"

enum {
    SECTOR = 512,
    FILES_MAX = 256,
    PENDING_MAX = 4096,
    PARTS_MAX = 8,    /* places at which a long write is torn */
    SUBSETS_OF = 3,   /* changes of names of which any subset is tried */
    SINGLED_OUT = 12, /* of the youngest writes that are not synced, each is treated by itself */
};

enum kind { CREATE, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, LINK, UNLINK, SYNC_FOLDER, KINDS };

struct head {
    uint32_t kind, path_bytes, other_bytes, data_bytes;
    uint64_t inode, at;
};

struct file {
    uint64_t inode;
    char *bytes;
    size_t n, capacity;
    bool is_wanted;
};

struct name {
    char *path;
    struct file *file;
};

struct pending {
    enum kind kind;
    struct file *file;
    const char *data;
    size_t bytes;
    uint64_t at;
    char *from, *to; /* of a change of names */
};

/* What becomes of a write that was not synced. */
enum fate { ABSENT, COMPLETE, FIRST, LAST, ALL_BUT, ZEROED, STALE };

struct disk_trace {
    struct slice bytes;
    char **texts; /* all paths: they live as long as what refers to them */
    size_t texts_count, texts_capacity;
    disk_trace_filter is_wanted;
    struct file *files[FILES_MAX];
    size_t files_count;
    struct name durable[FILES_MAX], now[FILES_MAX];
    size_t durable_count, now_count;
    struct pending writes[PENDING_MAX], names[PENDING_MAX];
    size_t writes_count, names_count;

    /* The image that is being made. */
    struct file images[FILES_MAX];
    struct disk_file out[FILES_MAX];
    struct name image_names[FILES_MAX];

    bool (*wants)(void *ctx, uint64_t number);
    int (*on_image)(void *ctx, const struct disk_image *image);
    void *ctx;
    uint64_t number, trace_bytes;
};

static void *must(void *allocated) {
    ASSERT(allocated != NULL);
    return allocated;
}

/* ---- Files and names ---- */

static void resize(struct file *file, size_t n) {
    if (n > file->capacity) {
        file->capacity = n + n / 2;
        file->bytes = must(realloc(file->bytes, file->capacity));
    }
    if (n > file->n) memset(file->bytes + file->n, 0, n - file->n);
    file->n = n;
}

static void put(struct file *file, uint64_t at, const char *data, size_t bytes) {
    if (bytes == 0) return;
    if (at + bytes > file->n) resize(file, (size_t)at + bytes);
    memcpy(file->bytes + at, data, bytes);
}

/* The youngest file of this inode: numbers are used again. */
static struct file *file_of(struct disk_trace *trace, uint64_t inode) {
    for (size_t i = trace->files_count; i-- > 0;)
        if (trace->files[i]->inode == inode) return trace->files[i];
    return NULL;
}

static struct file *file_new(struct disk_trace *trace, uint64_t inode, bool is_wanted) {
    ASSERT(trace->files_count < FILES_MAX);
    struct file *file = must(calloc(1, sizeof *file));
    file->inode = inode;
    file->is_wanted = is_wanted;
    trace->files[trace->files_count++] = file;
    return file;
}

static struct name *name_find(struct name *names, size_t count, const char *path) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].path, path) == 0) return &names[i];
    return NULL;
}

/* `from` (may be NULL) goes, `to` (may be NULL) comes. */
static void names_change(struct name *names, size_t *count, const struct pending *change) {
    struct name *gone = change->from == NULL ? NULL : name_find(names, *count, change->from);
    if (gone != NULL && gone->file == change->file) *gone = names[--*count];
    if (change->to == NULL) return;
    struct name *there = name_find(names, *count, change->to);
    ASSERT(there != NULL || *count < FILES_MAX);
    if (there == NULL) there = &names[(*count)++];
    *there = (struct name){.path = change->to, .file = change->file};
}

/* ---- Events ---- */

static void apply_whole(struct file *file, const struct pending *write) {
    if (write->kind == WRITE) put(file, write->at, write->data, write->bytes);
    if (write->kind == TRUNCATE) resize(file, (size_t)write->at);
    if (write->kind == ALLOCATE && write->at > file->n) resize(file, (size_t)write->at);
}

static void sync_file(struct disk_trace *trace, struct file *file) {
    size_t left = 0;
    for (size_t i = 0; i < trace->writes_count; i++) {
        struct pending *write = &trace->writes[i];
        if (write->file == file)
            apply_whole(file, write);
        else
            trace->writes[left++] = *write;
    }
    trace->writes_count = left;
}

static void change_names(struct disk_trace *trace, struct file *file, char *from, char *to) {
    ASSERT(trace->names_count < PENDING_MAX);
    if (file == NULL || !file->is_wanted) return;
    struct pending change = {.file = file, .from = from, .to = to};
    trace->names[trace->names_count++] = change;
    names_change(trace->now, &trace->now_count, &change);
}

static void sync_names(struct disk_trace *trace) {
    for (size_t i = 0; i < trace->names_count; i++)
        names_change(trace->durable, &trace->durable_count, &trace->names[i]);
    trace->names_count = 0;
}

static struct file *named(struct disk_trace *trace, const char *path) {
    struct name *name = name_find(trace->now, trace->now_count, path);
    return name == NULL ? NULL : name->file;
}

static void add_write(struct disk_trace *trace, const struct head *head, struct file *file,
                      const char *data) {
    if (file == NULL || !file->is_wanted) return;
    ASSERT(trace->writes_count < PENDING_MAX);
    trace->writes[trace->writes_count++] = (struct pending){.kind = (enum kind)head->kind,
                                                            .file = file,
                                                            .data = data,
                                                            .bytes = head->data_bytes,
                                                            .at = head->at};
}

static char *text_of(struct disk_trace *trace, const char *p, size_t n) {
    if (trace->texts_count == trace->texts_capacity) {
        trace->texts_capacity = 2 * trace->texts_capacity + 64;
        trace->texts = must(realloc(trace->texts, trace->texts_capacity * sizeof *trace->texts));
    }
    return trace->texts[trace->texts_count++] = must(strndup(p, n));
}

static void take_event(struct disk_trace *trace, const struct head *head, const char *body) {
    char *path = text_of(trace, body, head->path_bytes);
    char *other = text_of(trace, body + head->path_bytes, head->other_bytes);
    struct file *file = file_of(trace, head->inode);
    switch ((enum kind)head->kind) {
    case CREATE:
        file = file_new(trace, head->inode, trace->is_wanted(path));
        change_names(trace, file, NULL, path);
        break;
    case WRITE:
    case TRUNCATE:
    case ALLOCATE:
        add_write(trace, head, file, body + head->path_bytes + head->other_bytes);
        break;
    case SYNC:
        sync_file(trace, file);
        break;
    case RENAME:
        change_names(trace, named(trace, path), path, other);
        break;
    case LINK:
        change_names(trace, named(trace, path), NULL, other);
        break;
    case UNLINK:
        change_names(trace, named(trace, path), path, NULL);
        break;
    case SYNC_FOLDER:
        sync_names(trace);
        break;
    case KINDS:
        break;
    }
}

/* ---- One image ---- */

/* The fate of one write; all others are as `others` says. */
struct choice {
    enum fate others, fate;
    size_t which, sector; /* sector: where it is torn, counted from its first one */
    uint64_t names;       /* bit i: change i is kept; those from 64 on as the last bit says */
};

static bool keeps_name(const struct choice *choice, size_t i) {
    return (choice->names >> (i < 64 ? i : 63) & 1) != 0;
}

static size_t sectors_of(const struct pending *write) {
    if (write->kind != WRITE || write->bytes == 0) return 0;
    return (size_t)((write->at + write->bytes - 1) / SECTOR - write->at / SECTOR + 1);
}

/* Those bytes of `write` that lie in its sectors from `first` up to `end`. */
static void put_sectors(struct file *file, const struct pending *write, size_t first, size_t end) {
    uint64_t base = write->at / SECTOR * SECTOR, last = write->at + write->bytes;
    uint64_t from = base + first * SECTOR, to = base + end * SECTOR;
    if (from < write->at) from = write->at;
    if (to > last) to = last;
    if (from < to) put(file, from, write->data + (from - write->at), (size_t)(to - from));
}

/* The file has grown, but what is there is not what was written. */
static void put_other(struct file *file, const struct pending *write, enum fate fate) {
    size_t before = file->n, end = (size_t)(write->at + write->bytes);
    if (end <= before) return;
    resize(file, end);
    if (fate == ZEROED) return;
    /* Stale: what this very write says, but somewhere else, which is the worst that can lie there.
     */
    size_t from = before > write->at ? before : (size_t)write->at;
    for (size_t at = from; at < end; at++)
        file->bytes[at] = write->data[(at - (size_t)write->at + SECTOR) % write->bytes];
}

static void apply_fate(struct file *file, const struct pending *write, const struct choice *choice,
                       enum fate fate) {
    size_t sectors = sectors_of(write);
    switch (fate) {
    case ABSENT:
        break;
    case COMPLETE:
        apply_whole(file, write);
        break;
    case FIRST:
        put_sectors(file, write, 0, choice->sector);
        break;
    case LAST:
        put_sectors(file, write, choice->sector, sectors);
        break;
    case ALL_BUT:
        put_sectors(file, write, 0, choice->sector);
        put_sectors(file, write, choice->sector + 1, sectors);
        break;
    case ZEROED:
    case STALE:
        put_other(file, write, fate);
        break;
    }
}

static void make_file(struct disk_trace *trace, struct file *image, struct file *file,
                      const struct choice *choice) {
    image->n = 0;
    resize(image, file->n);
    if (file->n > 0) memcpy(image->bytes, file->bytes, file->n);
    for (size_t i = 0; i < trace->writes_count; i++) {
        if (trace->writes[i].file != file) continue;
        enum fate fate = i == choice->which ? choice->fate : choice->others;
        apply_fate(image, &trace->writes[i], choice, fate);
    }
}

static int make_image(struct disk_trace *trace, const struct choice *choice) {
    uint64_t number = trace->number++;
    if (trace->on_image == NULL || !trace->wants(trace->ctx, number)) return 0;
    size_t names_count = trace->durable_count, count = 0;
    memcpy(trace->image_names, trace->durable, names_count * sizeof(struct name));
    for (size_t i = 0; i < trace->names_count; i++)
        if (keeps_name(choice, i)) names_change(trace->image_names, &names_count, &trace->names[i]);
    for (size_t i = 0; i < names_count; i++) {
        const struct name *name = &trace->image_names[i];
        if (!trace->is_wanted(name->path)) continue;
        make_file(trace, &trace->images[count], name->file, choice);
        trace->out[count] = (struct disk_file){
            .name = name->path,
            .bytes = slice_of(trace->images[count].bytes, trace->images[count].n)};
        count++;
    }
    const struct disk_image image = {
        .number = number, .trace_bytes = trace->trace_bytes, .files = trace->out, .count = count};
    return trace->on_image(trace->ctx, &image);
}

/* ---- All images of a moment ---- */

static int with_fates(struct disk_trace *trace, struct choice *choice, size_t which) {
    const struct pending *write = &trace->writes[which];
    size_t sectors = sectors_of(write);
    size_t step = sectors > PARTS_MAX ? sectors / PARTS_MAX : 1;
    int code = 0;
    choice->which = which;
    for (enum fate fate = ABSENT; fate <= STALE && code == 0; fate++) {
        bool is_torn = fate == FIRST || fate == LAST || fate == ALL_BUT;
        choice->fate = fate;
        if (fate == choice->others) continue; /* is made once, for all writes */
        if (is_torn)
            for (choice->sector = fate == ALL_BUT ? 0 : 1;
                 choice->sector < sectors && sectors > 1 && code == 0; choice->sector += step)
                code = make_image(trace, choice);
        else if (write->kind == WRITE || fate <= COMPLETE)
            code = make_image(trace, choice);
    }
    return code;
}

/* All images with these names. */
static int with_names(struct disk_trace *trace, uint64_t names) {
    int code = 0;
    for (enum fate others = ABSENT; others <= COMPLETE && code == 0; others++) {
        struct choice choice = {
            .others = others, .fate = others, .which = SIZE_MAX, .names = names};
        code = make_image(trace, &choice);
        size_t count = trace->writes_count;
        size_t first = count > SINGLED_OUT ? count - SINGLED_OUT : 0;
        for (size_t i = first; i < count && code == 0; i++) code = with_fates(trace, &choice, i);
    }
    return code;
}

static int all_images(struct disk_trace *trace) {
    size_t count = trace->names_count;
    int code = 0;
    if (count <= SUBSETS_OF) {
        for (uint64_t names = 0; names < UINT64_C(1) << count && code == 0; names++)
            code = with_names(trace, names);
        return code;
    }
    size_t bits = count < 63 ? count : 63;
    for (size_t kept = 0; kept <= bits && code == 0; kept++)
        code = with_names(trace, (UINT64_C(1) << kept) - 1);
    for (size_t lost = 0; lost + 1 < bits && code == 0; lost++)
        code = with_names(trace, UINT64_MAX & ~(UINT64_C(1) << lost));
    return code;
}

/* ---- The whole trace ---- */

static void forget(struct disk_trace *trace) {
    for (size_t i = 0; i < trace->files_count; i++) {
        free(trace->files[i]->bytes);
        free(trace->files[i]);
    }
    for (size_t i = 0; i < trace->texts_count; i++) free(trace->texts[i]);
    trace->texts_count = 0;
    trace->files_count = trace->durable_count = trace->now_count = 0;
    trace->writes_count = trace->names_count = 0;
    trace->number = trace->trace_bytes = 0;
}

int disk_trace_images(struct disk_trace *trace, bool (*wants)(void *ctx, uint64_t number),
                      int (*on_image)(void *ctx, const struct disk_image *image), void *ctx,
                      uint64_t *count) {
    int code = 0;
    forget(trace);
    trace->wants = wants;
    trace->on_image = on_image;
    trace->ctx = ctx;
    for (size_t at = 0; at + sizeof(struct head) <= trace->bytes.n && code == 0;) {
        struct head head;
        memcpy(&head, trace->bytes.p + at, sizeof head);
        at += sizeof head;
        take_event(trace, &head, trace->bytes.p + at);
        at += (size_t)head.path_bytes + head.other_bytes + head.data_bytes;
        trace->trace_bytes = at;
        code = all_images(trace);
    }
    *count = trace->number;
    return code;
}

/* Whether it is events from its beginning to its end. */
static bool is_whole(struct slice bytes) {
    size_t at = 0;
    while (bytes.n - at >= sizeof(struct head)) {
        struct head head;
        memcpy(&head, bytes.p + at, sizeof head);
        uint64_t body = (uint64_t)head.path_bytes + head.other_bytes + head.data_bytes;
        if (head.kind >= KINDS || body > bytes.n - at - sizeof head) return false;
        at += sizeof head + (size_t)body;
    }
    return at == bytes.n;
}

struct disk_trace *disk_trace_new(struct slice bytes, disk_trace_filter is_wanted) {
    if (!is_whole(bytes)) return NULL;
    struct disk_trace *trace = must(calloc(1, sizeof *trace));
    trace->bytes = bytes;
    trace->is_wanted = is_wanted;
    return trace;
}

void disk_trace_free(struct disk_trace *trace) {
    if (trace == NULL) return;
    forget(trace);
    for (size_t i = 0; i < FILES_MAX; i++) free(trace->images[i].bytes);
    free(trace->texts);
    free(trace);
}
