#include "agent/enforcer_write.h"
#include "base/fs.h"
#include "cgroup/knob.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { WRITE_TEXT_MAX = 96, READ_TEXT_MAX = 16384, TRIES_MAX = 5 };

static enum knob_form form_of(const struct plan_row *row)
{
    return knob_file(row->knob, row->version)->form;
}

uint64_t enforcer_memsw(uint64_t swap, uint64_t limit)
{
    uint64_t sum;
    if (swap == KNOB_UNLIMITED || limit == KNOB_UNLIMITED || __builtin_add_overflow(swap, limit, &sum))
        return KNOB_UNLIMITED;
    return sum;
}

/* The value as the row's file counts it. */
static uint64_t raw(const struct plan_row *row, uint64_t value, uint64_t pair)
{
    return form_of(row) == KNOB_FORM_MEMSW ? enforcer_memsw(value, pair) : value;
}

bool enforcer_lowers_memory(const struct plan_row *row)
{
    if (row->knob != KNOB_MEMORY_LIMIT && !(row->knob == KNOB_MEMORY_SWAP && form_of(row) == KNOB_FORM_MEMSW))
        return false;
    return raw(row, row->value, row->pair) < raw(row, row->old_value, row->old_pair);
}

bool enforcer_same_text(const struct plan_row *row)
{
    return form_of(row) == KNOB_FORM_MEMSW &&
           raw(row, row->value, row->pair) == raw(row, row->old_value, row->old_pair);
}

/* Reads the row's knob through its open file, as the file counts. 0 or -errno. */
static int read_raw(int fd, const struct plan_row *row, uint64_t *ret_value, uint64_t *ret_pair)
{
    char text[READ_TEXT_MAX];
    ssize_t len = fs_pread(fd, text, sizeof text);
    if (len < 0)
        return (int)len;
    int r = knob_decode(row->knob, row->version, row->device, text, ret_value, ret_pair);
    if (r == -ENOENT && knobs[row->knob].per_device) {
        *ret_value = KNOB_UNLIMITED;
        *ret_pair = 0;
        r = 0;
    }
    return r;
}

static bool matches(const struct plan_row *row, uint64_t raw_value, uint64_t raw_pair, uint64_t value,
                    uint64_t pair)
{
    bool pair_counts = form_of(row) == KNOB_FORM_CPU_MAX && pair != 0;
    return raw_value == raw(row, value, pair) && (!pair_counts || raw_pair == pair);
}

static uint64_t canonical(const struct plan_row *row, uint64_t raw_value, uint64_t limit)
{
    if (form_of(row) != KNOB_FORM_MEMSW || raw_value == KNOB_UNLIMITED)
        return raw_value;
    return limit != KNOB_UNLIMITED && raw_value > limit ? raw_value - limit : 0;
}

static int write_text(int fd, const char *text, size_t len)
{
    for (unsigned tries = 1;; tries++) {
        ssize_t written = write(fd, text, len);
        if (written == (ssize_t)len)
            return 0;
        if (written >= 0)
            return -EIO;
        if (errno != EINTR || tries == TRIES_MAX)
            return -errno;
    }
}

/* Somebody, or an earlier plan, may have written it since the plan was made; writing a bandwidth again would
 * un-throttle the group (kernel/sched/core.c tg_set_cfs_bandwidth starts a new period). */
static bool holds_already(int fd, const struct plan_row *row, uint64_t value, uint64_t pair)
{
    uint64_t now, now_pair;
    return row->knob == KNOB_CPU_BANDWIDTH && read_raw(fd, row, &now, &now_pair) == 0 &&
           matches(row, now, now_pair, value, pair);
}

static int write_value(int dirfd, const struct plan_row *row, uint64_t value, uint64_t pair,
                       uint64_t *ret_read_back)
{
    char text[WRITE_TEXT_MAX];
    uint64_t now, now_pair;
    int len = knob_encode(row->knob, row->version, row->device, value, pair, text, sizeof text);
    if (len < 0)
        return len;
    CLEANUP_FD int fd = openat(dirfd, knob_file(row->knob, row->version)->file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = holds_already(fd, row, value, pair) ? 0 : write_text(fd, text, (size_t)len);
    if (r == 0)
        r = read_raw(fd, row, &now, &now_pair);
    if (r)
        return r;
    *ret_read_back = canonical(row, now, pair);
    return matches(row, now, now_pair, value, pair) ? 0 : -EIO;
}

int enforcer_write(int dirfd, const struct plan_row *row, uint64_t *ret_read_back)
{
    return write_value(dirfd, row, row->value, row->pair, ret_read_back);
}

int enforcer_write_old(int dirfd, const struct plan_row *row)
{
    uint64_t read_back;
    return write_value(dirfd, row, row->old_value, row->old_pair, &read_back);
}

int enforcer_held(int dirfd, const struct plan_row *row, enum held *ret)
{
    uint64_t now, pair;
    CLEANUP_FD int fd = openat(dirfd, knob_file(row->knob, row->version)->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = read_raw(fd, row, &now, &pair);
    if (r)
        return r;
    uint64_t old = raw(row, row->old_value, row->old_pair), value = raw(row, row->value, row->pair);
    if (matches(row, now, pair, row->value, row->pair))
        *ret = HELD_NEW;
    else if (matches(row, now, pair, row->old_value, row->old_pair))
        *ret = HELD_OLD;
    else
        *ret = (now > old) != (now > value) ? HELD_BETWEEN : HELD_OTHER;
    return 0;
}
