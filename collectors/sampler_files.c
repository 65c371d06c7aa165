/*
 * The sampler over files.
 *
 * What it costs (kernel 6.18): a pread of a kept descriptor 1.2 us, of memory.stat 8 us; opening and closing
 * it again 4 us more, whichever file it is. A kept descriptor that was read holds a page of kernel memory. So
 * three quarters of the budget go to files, the rest to directory descriptors, from which the files that are
 * not kept are opened each tick. First come, first kept; what a dead group frees, the next file read may
 * keep.
 *
 * Most containers do nothing most of the time. A group in which no leading number has moved (CPU time, memory
 * and its statistics, tasks, bytes of I/O, stalls) since the last reading keeps its other numbers too: they
 * move only along with one of those. They are read once more after the last movement, since the end of a CPU
 * period or of an exit may come just after it, and every ten seconds whatever happens: on v1 a task may stand
 * in one hierarchy's group and not in the other's.
 *
 * A group lives in several hierarchies, each of which may come later and go earlier: runtimes make and remove
 * them one after another. So presence is a state of each place (group and hierarchy), and absence of each
 * file: v2 has a controller's files only where the parent enabled it. Both are asked again after 1, 2, 4 ...
 * 60 s. A kept descriptor of a removed group says ENODEV; a removed directory has no files any more (ENOENT).
 */

#include "base/clock.h"
#include "base/fs.h"
#include "collectors/block.h"
#include "collectors/file_plan.h"
#include "collectors/host_row.h"
#include "collectors/sampler.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FDS_RESERVED = 512,      /* for everything else the process opens */
    FDS_DEFAULT_MAX = 19456, /* three quarters of it as files hold 64 MiB of kernel memory */
    TEXT_SIZE = 65536,
    TEXT_SIZE_MAX = 4 << 20, /* io.stat of a host with tens of thousands of devices */
    RETRY_MAX_S = 60,
    STILL_READINGS = 2, /* without movement, before numbers that move along are taken as they were */
};

#define STILL_LONGEST_NS (10 * NSEC_PER_SEC)

#define FOREVER UINT64_MAX

struct sampler {
    const struct cgroup_host *host; /* borrowed */
    struct file_plan plan;
    struct sampler_stats stats;
    struct block *block;
    struct host_row *host_row;
    char *text;
    size_t text_size;
};

/* When to look again for what was absent. */
struct absence {
    uint64_t retry_ns; /* 0: not absent */
    unsigned tries;
};

struct group_file {
    int fd; /* kept, or -1 */
    struct absence absence;
};

struct group_place {
    int dirfd; /* -1: not open */
    bool kept; /* dirfd counts against the budget and stays */
    struct absence absence;
};

struct sampler_group {
    char *path; /* relative to a mount: "lxc/web", "." for the root */
    struct group_place places[HIERARCHIES_MAX];
    struct group_file *files; /* one per file of the plan */
    uint16_t *layouts;
    struct row last;   /* as it was read */
    unsigned still;    /* readings in a row in which no leading number moved */
    uint64_t whole_ns; /* when every file was last read */
};

static void absence_note(struct absence *absence, uint64_t now_ns)
{
    uint64_t wait_s = absence->tries < 6 ? UINT64_C(1) << absence->tries : RETRY_MAX_S;
    if (absence->tries < 6)
        absence->tries++;
    absence->retry_ns = now_ns + wait_s * NSEC_PER_SEC;
}

static bool absence_holds(const struct absence *absence, uint64_t now_ns)
{
    return absence->retry_ns > now_ns;
}

/* Errors by which the kernel says that a group or a file is not there: ENODEV of a kept descriptor after
   rmdir, EOPNOTSUPP of PSI switched off at boot or a threaded group. */
static bool error_is_absence(int error)
{
    return error == -ENOENT || error == -ENODEV || error == -ENOTDIR || error == -EOPNOTSUPP;
}

/* A quarter of the descriptors is for those who wait for pressure. */
static unsigned default_budget(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur - limit.rlim_cur / 4 <= FDS_RESERVED)
        return 0;
    rlim_t budget = limit.rlim_cur - limit.rlim_cur / 4 - FDS_RESERVED;
    return budget < FDS_DEFAULT_MAX ? (unsigned)budget : FDS_DEFAULT_MAX;
}

int sampler_open(const struct cgroup_host *host, unsigned fd_budget, const char *proc_root,
                 struct sampler **ret)
{
    struct sampler *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->host = host;
    s->stats.fds_budget = fd_budget ? fd_budget : default_budget();
    file_plan_make(host, &s->plan);
    s->text_size = TEXT_SIZE;
    s->text = malloc(s->text_size);
    s->block = block_new(proc_root);
    s->host_row = host_row_new(proc_root);
    if (!s->text || !s->block || !s->host_row) {
        sampler_close(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

struct sampler *sampler_close(struct sampler *s)
{
    if (!s)
        return NULL;
    host_row_free(s->host_row);
    block_free(s->block);
    free(s->text);
    free(s);
    return NULL;
}

static void place_close_dir(struct sampler *s, struct group_place *place)
{
    if (place->dirfd < 0)
        return;
    close(place->dirfd);
    place->dirfd = -1;
    s->stats.fds_kept -= place->kept;
    place->kept = false;
}

static void file_close(struct sampler *s, struct group_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    file->fd = -1;
    s->stats.fds_kept--;
}

/* The group is not in this hierarchy any more: what comes back under its path begins anew. */
static void place_lose(struct sampler *s, struct sampler_group *g, unsigned hierarchy, uint64_t now_ns)
{
    for (unsigned i = 0; i < s->plan.file_count; i++) {
        if (s->plan.files[i].hierarchy != hierarchy)
            continue;
        file_close(s, &g->files[i]);
        if (g->files[i].absence.retry_ns != FOREVER)
            g->files[i].absence = (struct absence){0};
    }
    place_close_dir(s, &g->places[hierarchy]);
    absence_note(&g->places[hierarchy].absence, now_ns);
}

/* Opens the directory unless it is open. 0 or -errno. */
static int place_open_dir(struct sampler *s, const struct sampler_group *g, struct group_place *place,
                          unsigned hierarchy)
{
    if (place->dirfd >= 0)
        return 0;
    place->dirfd = fs_open_dir(s->host->hierarchies[hierarchy].dirfd, g->path);
    s->stats.opens++;
    return place->dirfd < 0 ? place->dirfd : 0;
}

static bool may_keep_file(const struct sampler *s)
{
    return s->stats.fds_kept < s->stats.fds_budget - s->stats.fds_budget / 4;
}

/* Reads the descriptor's whole text. Bytes or -errno. */
static ssize_t text_read(struct sampler *s, int fd)
{
    for (;;) {
        ssize_t n = pread(fd, s->text, s->text_size, 0);
        if (n < 0)
            return -errno;
        if ((size_t)n < s->text_size)
            return n;
        if (s->text_size >= TEXT_SIZE_MAX)
            return -EFBIG;
        char *larger = realloc(s->text, s->text_size * 2);
        if (!larger)
            return -ENOMEM;
        s->text = larger;
        s->text_size *= 2;
    }
}

/* The text of a file that is not kept: keeps it when the budget allows. Bytes or -errno. */
static ssize_t file_open_and_read(struct sampler *s, struct sampler_group *g, unsigned index)
{
    const struct file_plan_file *plan = &s->plan.files[index];
    struct group_place *place = &g->places[plan->hierarchy];
    int error = place_open_dir(s, g, place, plan->hierarchy);
    if (error)
        return error;
    int fd = openat(place->dirfd, plan->name, O_RDONLY | O_CLOEXEC);
    s->stats.opens++;
    if (fd < 0)
        return -errno;
    ssize_t n = text_read(s, fd);
    if (n >= 0 && may_keep_file(s)) {
        g->files[index].fd = fd;
        s->stats.fds_kept++;
    } else {
        close(fd);
    }
    return n;
}

/* Nothing came of the file: is it the file that is absent, or the group? */
static void file_absent(struct sampler *s, struct sampler_group *g, unsigned index, uint64_t now_ns)
{
    unsigned hierarchy = s->plan.files[index].hierarchy;
    struct group_place *place = &g->places[hierarchy];
    file_close(s, &g->files[index]);
    if (place_open_dir(s, g, place, hierarchy) < 0 || !fs_exists_at(place->dirfd, "cgroup.procs"))
        place_lose(s, g, hierarchy, now_ns);
    else
        absence_note(&g->files[index].absence, now_ns);
}

static void file_take(const struct sampler *s, struct sampler_group *g, const struct file_plan_file *file,
                      size_t len, struct row *row)
{
    uint64_t values[PARSE_KEYS_MAX];
    const struct parse_keys keys = {.items = &s->plan.keys[file->first],
                                    .count = file->count,
                                    .counted = block_counted,
                                    .context = s->block};
    uint64_t found = parse_text(file->form, s->text, len, &keys, &g->layouts[file->layout], values);
    for (unsigned i = 0; i < file->count; i++)
        if ((found >> i) & 1)
            row_set(row, s->plan.metrics[file->first + i], values[i] / s->plan.divides[file->first + i]);
}

/* 0 (also when it is absent) or -errno. */
static int file_read(struct sampler *s, struct sampler_group *g, unsigned index, struct row *row)
{
    const struct file_plan_file *plan = &s->plan.files[index];
    struct group_file *file = &g->files[index];
    if (absence_holds(&g->places[plan->hierarchy].absence, row->mono_ns) ||
        absence_holds(&file->absence, row->mono_ns))
        return 0;
    ssize_t n = file->fd >= 0 ? text_read(s, file->fd) : file_open_and_read(s, g, index);
    if (n < 0 && error_is_absence((int)n)) {
        file_absent(s, g, index, row->mono_ns);
        return 0;
    }
    if (n < 0)
        return (int)n;
    file->absence = (struct absence){0};
    g->places[plan->hierarchy].absence = (struct absence){0};
    s->stats.files_read++;
    file_take(s, g, plan, (size_t)n, row);
    return 0;
}

/* Keeps the directories that are needed again next tick while the budget allows, closes the others. */
static void places_settle(struct sampler *s, struct sampler_group *g)
{
    uint32_t needed = 0;
    for (unsigned i = 0; i < s->plan.file_count; i++)
        if (g->files[i].fd < 0 && !g->files[i].absence.retry_ns)
            needed |= UINT32_C(1) << s->plan.files[i].hierarchy;
    for (unsigned h = 0; h < s->host->count; h++) {
        struct group_place *place = &g->places[h];
        if (place->dirfd < 0 || place->kept)
            continue;
        place->kept = ((needed >> h) & 1) && s->stats.fds_kept < s->stats.fds_budget;
        s->stats.fds_kept += place->kept;
        if (!place->kept)
            place_close_dir(s, place);
    }
}

/* Whether the group's directory is in any hierarchy, those without metrics included. */
static bool group_exists(const struct sampler *s, const struct sampler_group *g)
{
    struct stat st;
    for (unsigned h = 0; h < s->host->count; h++)
        if (fstatat(s->host->hierarchies[h].dirfd, g->path, &st, 0) == 0)
            return true;
    return false;
}

int sampler_group_open(struct sampler *s, const char *path, struct sampler_group **ret)
{
    if (path[0] != '/')
        return -EINVAL;
    struct sampler_group *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    for (unsigned h = 0; h < HIERARCHIES_MAX; h++)
        g->places[h].dirfd = -1;
    g->path = strdup(path[1] ? path + 1 : ".");
    g->files = calloc(s->plan.file_count + 1, sizeof g->files[0]);
    g->layouts = calloc(s->plan.layout_words + 1, sizeof g->layouts[0]);
    if (!g->path || !g->files || !g->layouts) {
        sampler_group_close(s, g);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < s->plan.file_count; i++) {
        g->files[i].fd = -1;
        if (s->plan.files[i].not_at_root && !path[1])
            g->files[i].absence.retry_ns = FOREVER;
    }
    if (!group_exists(s, g)) {
        sampler_group_close(s, g);
        return GROUP_GONE;
    }
    *ret = g;
    return 0;
}

struct sampler_group *sampler_group_close(struct sampler *s, struct sampler_group *g)
{
    if (!g)
        return NULL;
    for (unsigned i = 0; g->files && i < s->plan.file_count; i++)
        file_close(s, &g->files[i]);
    for (unsigned h = 0; h < HIERARCHIES_MAX; h++)
        place_close_dir(s, &g->places[h]);
    free(g->layouts);
    free(g->files);
    free(g->path);
    free(g);
    return NULL;
}

static void row_begin(const struct sampler *s, struct row *row)
{
    row->mono_ns = clock_mono_ns();
    row->wall_ns = clock_wall_ns();
    block_forget_old(s->block, row->mono_ns);
    for (unsigned id = 0; id < METRIC_N; id++)
        if ((s->plan.mask[id / 64] >> (id % 64)) & 1)
            row_unset(row, id);
}

static bool leading_moved(const struct sampler *s, const struct row *before, const struct row *now)
{
    for (unsigned i = 0; i < s->plan.leading_keys; i++) {
        unsigned id = s->plan.metrics[i];
        if (row_has(before, id) != row_has(now, id) || before->values[id] != now->values[id])
            return true;
    }
    return false;
}

static bool rest_may_have_moved(const struct sampler *s, struct sampler_group *g, const struct row *row)
{
    g->still = leading_moved(s, &g->last, row) ? 0 : g->still + 1;
    return g->still < STILL_READINGS || row->mono_ns >= g->whole_ns + STILL_LONGEST_NS;
}

static void take_rest_as_it_was(const struct sampler *s, const struct sampler_group *g, struct row *row)
{
    for (unsigned i = s->plan.leading_keys; i < s->plan.key_count; i++)
        if (row_has(&g->last, s->plan.metrics[i]))
            row_set(row, s->plan.metrics[i], g->last.values[s->plan.metrics[i]]);
}

static int files_read(struct sampler *s, struct sampler_group *g, unsigned first, unsigned end,
                      struct row *row)
{
    int error = 0;
    for (unsigned i = first; i < end && !error; i++)
        error = file_read(s, g, i, row);
    return error;
}

static int group_read(struct sampler *s, struct sampler_group *g, struct row *row)
{
    int error = files_read(s, g, 0, s->plan.leading_files, row);
    if (error)
        return error;
    if (rest_may_have_moved(s, g, row)) {
        error = files_read(s, g, s->plan.leading_files, s->plan.file_count, row);
        g->whole_ns = row->mono_ns;
    } else {
        take_rest_as_it_was(s, g, row);
    }
    g->last = *row;
    return error;
}

int sampler_read(struct sampler *s, struct sampler_group *g, struct row *ret)
{
    uint64_t read_before = s->stats.files_read;
    row_begin(s, ret);
    int error = group_read(s, g, ret);
    places_settle(s, g);
    if (error || s->stats.files_read > read_before || group_exists(s, g))
        return error;
    return GROUP_GONE;
}

int sampler_read_host(struct sampler *s, struct row *ret)
{
    row_begin(s, ret);
    return host_row_read(s->host_row, s->block, ret);
}

struct sampler_stats sampler_stats(const struct sampler *s)
{
    return s->stats;
}
