#include "agent/enforcer_found.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND_PER_GROUP_MAX = KNOB_SET_MAX, LOG_SLACK = 4096 };
#define LOG_NAME "found"
#define LOG_NEW "found.new"

struct found_key {
    uint32_t hierarchy, zero;
    uint64_t cgroup_id;
};

struct found_group {
    struct found_key key;
    uint16_t version;
    char *path;
    unsigned count, capacity;
    struct knob_setting *settings;
};

unsigned found_of_row(const struct plan_row *row, struct knob_setting ret[2])
{
    unsigned count = 0;
    if (row->kind != PLAN_WRITE)
        return 0;
    if (row->old_value != row->value)
        ret[count++] = (struct knob_setting){row->knob, row->device, row->old_value};
    if (row->knob == KNOB_CPU_BANDWIDTH && row->version == 2 && row->old_pair != row->pair)
        ret[count++] = (struct knob_setting){KNOB_CPU_PERIOD, 0, row->old_pair};
    return count;
}

static struct found_group *group_free(struct found_group *group)
{
    if (group) {
        free(group->path);
        free(group->settings);
        free(group);
    }
    return NULL;
}

static struct found_group *find(struct found_store *store, const struct plan_row *row)
{
    struct found_key key = {.hierarchy = row->hierarchy, .cgroup_id = row->cgroup_id};
    if (store->last && memcmp(&store->last->key, &key, sizeof key) == 0)
        return store->last;
    struct found_group *group = map_get(&store->groups, &key, sizeof key);
    if (group)
        store->last = group;
    return group;
}

static struct found_group *find_or_make(struct found_store *store, const struct plan_row *row,
                                        const char *path)
{
    struct found_group *group = find(store, row);
    if (group)
        return group;
    group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->key = (struct found_key){.hierarchy = row->hierarchy, .cgroup_id = row->cgroup_id};
    group->version = row->version;
    group->path = strdup(path);
    if (!group->path || map_set(&store->groups, &group->key, sizeof group->key, group) != 0)
        return group_free(group);
    store->last = group;
    return group;
}

static struct knob_setting *setting_in(const struct found_group *group, uint16_t knob, uint32_t device)
{
    for (unsigned i = 0; group && i < group->count; i++)
        if (group->settings[i].knob == knob && group->settings[i].device == device)
            return &group->settings[i];
    return NULL;
}

static int put(struct found_store *store, const struct plan_row *row, const char *path,
               const struct knob_setting *setting)
{
    struct found_group *group = find_or_make(store, row, path);
    if (!group)
        return -ENOMEM;
    if (setting_in(group, setting->knob, setting->device))
        return FOUND_KNOWN;
    if (group->count == group->capacity) {
        unsigned capacity = group->capacity ? group->capacity * 2 : 8;
        struct knob_setting *grown = reallocarray(group->settings, capacity, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        group->settings = grown;
        group->capacity = capacity;
    }
    group->settings[group->count++] = *setting;
    store->count++;
    return FOUND_ADDED;
}

static void remove_group(struct found_store *store, struct found_group *group)
{
    store->count -= group->count;
    if (store->last == group)
        store->last = NULL;
    (void)map_remove(&store->groups, &group->key, sizeof group->key);
    group_free(group);
}

static bool take(struct found_store *store, const struct plan_row *row, uint16_t knob, uint32_t device)
{
    struct found_group *group = find(store, row);
    struct knob_setting *setting = setting_in(group, knob, device);
    if (!setting)
        return false;
    *setting = group->settings[--group->count];
    store->count--;
    if (!group->count)
        remove_group(store, group);
    return true;
}

static int pend(struct found_store *store, enum plan_row_kind kind, const struct plan_row *of,
                const char *path, const struct knob_setting *setting)
{
    struct plan_row row = {
        .kind = (uint16_t)kind,
        .knob = setting->knob,
        .version = of->version,
        .hierarchy = of->hierarchy,
        .device = setting->device,
        .cgroup_id = of->cgroup_id,
        .old_value = setting->value,
        .value = setting->value,
        .path_off = plan_string(&store->pending, path),
    };
    return plan_add(&store->pending, &row);
}

int found_add(struct found_store *store, const struct plan_row *row, const char *path,
              const struct knob_setting *setting)
{
    int r = put(store, row, path, setting);
    if (r == FOUND_ADDED && pend(store, PLAN_WRITE, row, path, setting) != 0) {
        (void)take(store, row, setting->knob, setting->device);
        return -ENOMEM;
    }
    return r;
}

const struct knob_setting *found_get(struct found_store *store, const struct plan_row *row, uint16_t knob,
                                     uint32_t device)
{
    return setting_in(find(store, row), knob, device);
}

void found_drop(struct found_store *store, const struct plan_row *row, uint16_t knob, uint32_t device)
{
    const struct knob_setting *setting = found_get(store, row, knob, device);
    /* Out of memory here keeps the value: it is given back once more than needed. */
    if (setting && pend(store, PLAN_FORGET, row, find(store, row)->path, setting) == 0)
        (void)take(store, row, knob, device);
}

int found_list(const struct found_store *store, struct plan *ret)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    int r = 0;
    *ret = PLAN_NULL;
    while (r == 0 && (entry = map_next(&store->groups, &cursor))) {
        const struct found_group *group = entry->value;
        struct plan_row row = {.kind = PLAN_WRITE,
                               .version = group->version,
                               .hierarchy = group->key.hierarchy,
                               .cgroup_id = group->key.cgroup_id,
                               .path_off = plan_string(ret, group->path)};
        for (unsigned i = 0; r == 0 && i < group->count; i++) {
            row.knob = group->settings[i].knob;
            row.device = group->settings[i].device;
            row.old_value = row.value = group->settings[i].value;
            r = plan_add(ret, &row);
        }
    }
    if (r == 0)
        r = buf_error(&ret->strings);
    if (r)
        plan_fini(ret);
    return r;
}

/* ---- the log */

static void replay(struct found_store *store, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->row_count; i++) {
        const struct plan_row *row = &plan->rows[i];
        struct knob_setting setting = {row->knob, row->device, row->old_value};
        if (row->kind == PLAN_WRITE)
            (void)!put(store, row, plan_text(plan, row->path_off), &setting);
        else if (row->kind == PLAN_FORGET)
            (void)take(store, row, row->knob, row->device);
    }
    store->logged += plan->row_count;
}

static int read_log(struct found_store *store)
{
    char path[64];
    char *text = NULL;
    size_t len = 0, used;
    snprintf(path, sizeof path, "/proc/self/fd/%d", store->log_fd);
    int r = fs_slurp(path, 256u << 20, &text, &len);
    while (r == 0) {
        struct plan plan;
        r = record_read(text + store->end, len - (size_t)store->end, store->boot_id, &plan, &used);
        if (r == RECORD_OK) {
            replay(store, &plan);
            plan_fini(&plan);
        }
        if (r == RECORD_OK || r == RECORD_OTHER) {
            store->end += (off_t)used;
            r = 0;
        }
    }
    free(text);
    return r == RECORD_END ? 0 : r;
}

/* Writes the log anew from what is held. */
static int rewrite(struct found_store *store)
{
    struct plan all;
    size_t len = 0;
    int r = found_list(store, &all);
    if (r)
        return r;
    CLEANUP_FD int fd = openat(store->dirfd, LOG_NEW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : all.row_count ? record_write(fd, 0, store->boot_id, &all, &len) : 0;
    if (r == 0 && renameat(store->dirfd, LOG_NEW, store->dirfd, LOG_NAME) < 0)
        r = -errno;
    if (r == 0) {
        fd_close(store->log_fd);
        store->log_fd = fd_take(&fd);
        store->end = (off_t)len;
        store->logged = all.row_count;
        plan_fini(&store->pending);
        store->pending = PLAN_NULL;
    }
    plan_fini(&all);
    return r;
}

int found_open(struct found_store *store, int dirfd, const char *boot_id)
{
    *store = FOUND_STORE_NULL;
    store->dirfd = dirfd;
    memcpy(store->boot_id, boot_id, sizeof store->boot_id);
    store->log_fd = openat(dirfd, LOG_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int r = store->log_fd < 0 ? -errno : read_log(store);
    if (r == 0)
        r = rewrite(store);
    if (r)
        found_close(store);
    return r;
}

void found_close(struct found_store *store)
{
    size_t cursor = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&store->groups, &cursor)))
        group_free(entry->value);
    map_fini(&store->groups);
    plan_fini(&store->pending);
    fd_close(store->log_fd);
    *store = FOUND_STORE_NULL;
}

int found_flush(struct found_store *store)
{
    size_t len;
    if (!store->pending.row_count)
        return 0;
    if (store->logged > 2 * store->count + LOG_SLACK)
        return rewrite(store);
    int r = record_write(store->log_fd, store->end, store->boot_id, &store->pending, &len);
    if (r)
        return r;
    store->end += (off_t)len;
    store->logged += store->pending.row_count;
    store->pending.row_count = 0;
    buf_clear(&store->pending.strings);
    return 0;
}

static bool lives(const struct found_group *group, const struct cgroup_host *host)
{
    int h = cgroup_host_by_device(host, group->key.hierarchy);
    struct stat st;
    return h >= 0 && fstatat(host->hierarchies[h].dirfd, cgroup_below(group->path), &st, 0) == 0 &&
           st.st_ino == group->key.cgroup_id;
}

void found_prune(struct found_store *store, const struct cgroup_host *host)
{
    size_t cursor = 0, dead_count = 0;
    const struct map_entry *entry;
    struct found_group **dead = calloc(store->groups.count + 1, sizeof *dead);
    while (dead && (entry = map_next(&store->groups, &cursor)))
        if (!lives(entry->value, host))
            dead[dead_count++] = entry->value;
    for (size_t i = 0; i < dead_count; i++)
        remove_group(store, dead[i]);
    free(dead);
    if (dead_count)
        (void)!rewrite(store); /* else they are dropped the next time */
}
