/*
 * Lowering memory below what is used.
 *
 * v1: the write reclaims and answers EBUSY when it could not take back enough; the old limit stays and nobody
 * is killed. A single write from 10 GiB to 1 GiB would reclaim for as long as it takes, so the limit goes
 * down in steps, and on EBUSY in halves of a step: what is reached is kept.
 *
 * v2: the write always succeeds, and then the OOM killer makes it true. So pages are taken back first
 * (memory.reclaim, else a passing memory.high), and memory.max follows no closer than 2 % above what is used.
 */

#include "agent/enforcer_write.h"
#include "base/clock.h"
#include "base/fs.h"
#include "cgroup/knob.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP_LEAST UINT64_C(65536)
#define STEP_MOST UINT64_C(67108864)

enum { STEPS_IN_ALL = 16, PAGE = 4096, IDLE_TRIES = 3, MARGIN = 50 /* a fiftieth */ };

static int read_number(int dirfd, const char *file, uint64_t *ret)
{
    char text[64];
    ssize_t len = fs_read_at(dirfd, file, text, sizeof text);
    if (len < 0)
        return (int)len;
    *ret = strtoull(text, NULL, 10);
    return 0;
}

static int write_number(int dirfd, const char *file, uint64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%" PRIu64, value);
    return fs_write_at(dirfd, file, text, (size_t)len);
}

static uint64_t step_of(uint64_t distance)
{
    uint64_t step = distance / STEPS_IN_ALL / PAGE * PAGE;
    return step < STEP_LEAST ? STEP_LEAST : step > STEP_MOST ? STEP_MOST : step;
}

static uint64_t page_up(uint64_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* ---- v1 */

/* Down to what is used nothing has to be taken back; a busy group needs some air. */
static int follow_usage(int dirfd, const char *file, const char *usage_file, uint64_t target,
                        uint64_t *reached)
{
    for (unsigned tries = 0; tries < STEPS_IN_ALL; tries++) {
        uint64_t usage = 0;
        int r = read_number(dirfd, usage_file, &usage);
        uint64_t at = page_up(usage + usage / STEPS_IN_ALL * tries);
        if (r)
            return r;
        if (at < target)
            at = target;
        if (at >= *reached)
            return 0;
        r = write_number(dirfd, file, at);
        if (r == 0)
            *reached = at;
        if (r != -EBUSY && r != -EINTR)
            return r;
    }
    return -EBUSY;
}

static int shrink_v1(int dirfd, const struct plan_row *row, uint64_t deadline_ns, uint64_t *reached)
{
    bool both = row->knob == KNOB_MEMORY_SWAP;
    const char *file = knob_file(row->knob, 1)->file;
    uint64_t target = both ? enforcer_memsw(row->value, row->pair) : row->value;
    int r = follow_usage(dirfd, file, both ? "memory.memsw.usage_in_bytes" : "memory.usage_in_bytes", target,
                         reached);
    uint64_t step = r == 0 ? step_of(*reached - target) : 0;
    while (r == 0 && *reached > target) {
        if (clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
        uint64_t at = *reached - target > step ? *reached - step : target;
        r = write_number(dirfd, file, at);
        if (r == 0)
            *reached = at;
        else if (r == -EBUSY && step > STEP_LEAST)
            step = step_of(step / 2 * STEPS_IN_ALL);
        if (r == -EINTR || (r == -EBUSY && at + STEP_LEAST < *reached))
            r = 0; /* once more, shorter */
    }
    return r;
}

/* ---- v2 */

/* Takes back about @bytes. */
static int reclaim(int dirfd, uint64_t usage, uint64_t bytes)
{
    char high[32];
    int r = write_number(dirfd, "memory.reclaim", bytes);
    if (r != -ENOENT)
        return r == -EAGAIN || r == -EINTR ? 0 : r;
    ssize_t len = fs_read_at(dirfd, "memory.high", high, sizeof high); /* before 5.19 */
    if (len < 0)
        return (int)len;
    r = write_number(dirfd, "memory.high", usage > bytes ? usage - bytes : 0);
    int back = fs_write_at(dirfd, "memory.high", high, strcspn(high, "\n"));
    return r ? r : back;
}

/* The least value of memory.max that nobody is killed for. */
static uint64_t safe_above(uint64_t usage)
{
    return page_up(usage + usage / MARGIN);
}

static int follow(int dirfd, uint64_t usage, uint64_t target, uint64_t *reached)
{
    uint64_t safe = safe_above(usage), to = safe > target ? safe : target;
    if (to >= *reached)
        return 0;
    int r = write_number(dirfd, "memory.max", to);
    if (r == 0)
        *reached = to;
    return r;
}

static int shrink_v2(int dirfd, const struct plan_row *row, uint64_t deadline_ns, uint64_t *reached)
{
    uint64_t before = UINT64_MAX, usage = 0;
    for (unsigned idle = 0;;) {
        int r = read_number(dirfd, "memory.current", &usage);
        if (r)
            return r;
        r = follow(dirfd, usage, row->value, reached);
        if (r || *reached <= row->value)
            return r;
        idle = usage + STEP_LEAST > before ? idle + 1 : 0;
        if (idle >= IDLE_TRIES)
            return -EBUSY;
        if (clock_mono_ns() >= deadline_ns)
            return -ETIMEDOUT;
        before = usage;
        uint64_t distance = safe_above(usage) - row->value;
        uint64_t step = step_of(distance);
        r = reclaim(dirfd, usage, distance < step ? distance : step);
        if (r)
            return r;
    }
}

int enforcer_shrink(int dirfd, const struct plan_row *row, uint64_t deadline_ns, uint64_t *ret_reached)
{
    bool both = row->version == 1 && row->knob == KNOB_MEMORY_SWAP;
    *ret_reached = both ? enforcer_memsw(row->old_value, row->old_pair) : row->old_value;
    int r = row->version == 1 ? shrink_v1(dirfd, row, deadline_ns, ret_reached)
                              : shrink_v2(dirfd, row, deadline_ns, ret_reached);
    if (both)
        *ret_reached = *ret_reached > row->pair ? *ret_reached - row->pair : 0;
    return r;
}
