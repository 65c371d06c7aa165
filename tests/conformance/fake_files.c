/*
 * What the kernel does with each file, after kernel/sched/core.c (tg_set_cfs_bandwidth,
 * tg_cfs_schedulable_down, cpu_max_write), mm/memcontrol-v1.c (mem_cgroup_resize_max), mm/memcontrol.c,
 * kernel/cgroup/pids.c and block/blk-throttle.c.
 */

#include "tests/conformance/fake_files.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#define CFS_MOST UINT64_C(17592186044415) /* max_cfs_runtime, microseconds */
enum {
    CFS_LEAST = 1000,
    PERIOD_MOST = 1000000,
    SHARES_LEAST = 2,
    SHARES_MOST = 262144,
    PIDS_MOST = 4194304,
    PAGE = 4096
};

/* kstrtou64 with base 10: digits only. */
static int to_u64(const char *text, uint64_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno ? -ERANGE : *end ? -EINVAL : 0;
}

static void print(char *buf, size_t size, uint64_t value, const char *infinite)
{
    if (value == FAKE_INFINITE)
        snprintf(buf, size, "%s", infinite);
    else
        snprintf(buf, size, "%" PRIu64, value);
}

/* ---- cpu */

static uint64_t ratio(const struct fake_group *group)
{
    return group->quota == FAKE_INFINITE ? FAKE_INFINITE : (group->quota << 20) / group->period;
}

/* Every limited group within its nearest limited ancestor. */
static bool schedulable(const struct fake_cgroupfs *fs)
{
    for (unsigned i = 0; i < fs->count; i++) {
        uint64_t own = ratio(&fs->groups[i]);
        for (int at = fs->groups[i].parent; own != FAKE_INFINITE && at >= 0; at = fs->groups[at].parent)
            if (own > ratio(&fs->groups[at]))
                return false;
    }
    return true;
}

static int set_bandwidth(struct fake_cgroupfs *fs, struct fake_group *group, uint64_t quota, uint64_t period,
                         uint64_t burst)
{
    struct fake_group before = *group;
    if (quota < CFS_LEAST || period < CFS_LEAST || period > PERIOD_MOST ||
        (quota != FAKE_INFINITE && quota > CFS_MOST))
        return -EINVAL;
    if (quota != FAKE_INFINITE && (burst > quota || burst + quota > CFS_MOST))
        return -EINVAL;
    group->quota = quota;
    group->period = period;
    group->burst = burst;
    if (fs->version == 1 && !schedulable(fs)) {
        *group = before;
        return -EINVAL;
    }
    return 0;
}

static int write_quota(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                       const char *text)
{
    (void)file;
    uint64_t quota = FAKE_INFINITE;
    int r = text[0] == '-' ? 0 : to_u64(text, &quota);
    return r ? r : set_bandwidth(fs, group, quota, group->period, group->burst);
}

static int write_period(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                        const char *text)
{
    (void)file;
    uint64_t period;
    int r = to_u64(text, &period);
    return r ? r : set_bandwidth(fs, group, group->quota, period, group->burst);
}

static int write_burst(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                       const char *text)
{
    (void)file;
    uint64_t burst;
    int r = to_u64(text, &burst);
    return r ? r : set_bandwidth(fs, group, group->quota, group->period, burst);
}

static int write_cpu_max(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                         const char *text)
{
    (void)file;
    char words[2][24] = {"", ""};
    uint64_t quota = FAKE_INFINITE, period = group->period;
    if (sscanf(text, "%23s %23s", words[0], words[1]) < 1)
        return -EINVAL;
    if (strcmp(words[0], "max") != 0 && to_u64(words[0], &quota) != 0)
        return -EINVAL;
    if (words[1][0] && to_u64(words[1], &period) != 0)
        return -EINVAL;
    return set_bandwidth(fs, group, quota, period, group->burst);
}

static int write_shares(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                        const char *text)
{
    (void)fs, (void)file;
    uint64_t shares;
    int r = to_u64(text, &shares);
    if (r)
        return r;
    group->weight = shares < SHARES_LEAST ? SHARES_LEAST : shares > SHARES_MOST ? SHARES_MOST : shares;
    return 0;
}

static int write_weight(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                        const char *text)
{
    (void)fs, (void)file;
    uint64_t weight;
    int r = to_u64(text, &weight);
    if (r)
        return r;
    if (weight < 1 || weight > 10000)
        return -ERANGE;
    group->weight = weight;
    return 0;
}

static void read_quota(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    print(buf, size, group->quota, "-1");
}

static void read_period(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    print(buf, size, group->period, "");
}

static void read_burst(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    print(buf, size, group->burst, "");
}

static void read_cpu_max(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    char quota[24];
    print(quota, sizeof quota, group->quota, "max");
    snprintf(buf, size, "%s %" PRIu64, quota, group->period);
}

static void read_weight(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    print(buf, size, group->weight, "");
}

/* ---- memory: page_counter_memparse, rounded down to pages */

static int to_pages(const char *text, const char *infinite, uint64_t *ret)
{
    if (strcmp(text, infinite) == 0) {
        *ret = FAKE_INFINITE;
        return 0;
    }
    int r = to_u64(text, ret);
    if (r)
        return -EINVAL;
    *ret = *ret >= UINT64_C(9223372036854771712) ? FAKE_INFINITE : *ret - *ret % PAGE;
    return 0;
}

static int write_limit(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                       const char *text)
{
    (void)fs, (void)file;
    uint64_t limit;
    int r = to_pages(text, "-1", &limit);
    if (r || limit > group->memsw)
        return r ? r : -EINVAL;
    if (limit < group->usage)
        return -EBUSY;
    group->limit = limit;
    return 0;
}

static int write_memsw(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                       const char *text)
{
    (void)fs, (void)file;
    uint64_t memsw;
    int r = to_pages(text, "-1", &memsw);
    if (r || memsw < group->limit)
        return r ? r : -EINVAL;
    if (memsw < group->usage)
        return -EBUSY;
    group->memsw = memsw;
    return 0;
}

static int write_memory_max(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                            const char *text)
{
    (void)file;
    uint64_t limit;
    int r = to_pages(text, "max", &limit);
    if (r)
        return r;
    if (limit < group->usage) {
        fs->killed++;
        group->usage = 0;
    }
    group->limit = limit;
    return 0;
}

static int write_swap_max(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                          const char *text)
{
    (void)fs, (void)file;
    return to_pages(text, "max", &group->swap);
}

static void read_limit(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    print(buf, size, group->limit, file->version == 1 ? "9223372036854771712" : "max");
}

static void read_memsw(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    print(buf, size, group->memsw, "9223372036854771712");
}

static void read_swap_max(const struct fake_group *group, const struct fake_file *file, char *buf,
                          size_t size)
{
    (void)file;
    print(buf, size, group->swap, "max");
}

/* ---- pids */

static int write_pids(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                      const char *text)
{
    (void)fs, (void)file;
    uint64_t pids = FAKE_INFINITE;
    if (strcmp(text, "max") != 0 && (to_u64(text, &pids) != 0 || pids > PIDS_MOST))
        return -EINVAL;
    group->pids = pids;
    return 0;
}

static void read_pids(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    print(buf, size, group->pids, "max");
}

/* ---- block devices */

/* The index of the device "MAJ:MIN " at @text, or -errno; *ret_rest is what follows. */
static int to_device(const char *text, const char **ret_rest)
{
    unsigned major_number, minor_number;
    int used = 0;
    if (sscanf(text, "%u:%u%n", &major_number, &minor_number, &used) != 2)
        return -EINVAL;
    *ret_rest = text + used + strspn(text + used, " ");
    for (unsigned d = 0; d < FAKE_DEVICES; d++)
        if (fake_device(d) == makedev(major_number, minor_number))
            return (int)d;
    return -ENODEV;
}

static int write_throttle(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                          const char *text)
{
    (void)fs;
    const char *rest;
    uint64_t rate;
    int device = to_device(text, &rest);
    if (device < 0)
        return device;
    if (to_u64(rest, &rate) != 0)
        return -EINVAL;
    group->rates[device][file->rate] = rate ? rate : FAKE_INFINITE;
    return 0;
}

static void read_throttle(const struct fake_group *group, const struct fake_file *file, char *buf,
                          size_t size)
{
    size_t used = 0;
    for (unsigned d = 0; d < FAKE_DEVICES; d++)
        if (group->rates[d][file->rate] != FAKE_INFINITE)
            used += (size_t)snprintf(buf + used, size - used, "%s8:%u %" PRIu64, used ? "\n" : "", 16 * d,
                                     group->rates[d][file->rate]);
}

static const char *const rate_keys[FAKE_RATES] = {"rbps", "wbps", "riops", "wiops"};

static int write_io_max(struct fake_cgroupfs *fs, struct fake_group *group, const struct fake_file *file,
                        const char *text)
{
    (void)fs, (void)file;
    const char *rest;
    int device = to_device(text, &rest);
    if (device < 0)
        return device;
    char key[16], word[24];
    uint64_t rate = FAKE_INFINITE;
    unsigned r = 0;
    if (sscanf(rest, "%15[a-z]=%23s", key, word) != 2)
        return -EINVAL;
    while (r < FAKE_RATES && strcmp(rate_keys[r], key) != 0)
        r++;
    if (r == FAKE_RATES || (strcmp(word, "max") != 0 && to_u64(word, &rate) != 0))
        return -EINVAL;
    if (rate == 0)
        return -ERANGE;
    if (rate == 1)
        return -EINVAL;
    group->rates[device][r] = rate;
    return 0;
}

static void read_io_max(const struct fake_group *group, const struct fake_file *file, char *buf, size_t size)
{
    (void)file;
    size_t used = 0;
    for (unsigned d = 0; d < FAKE_DEVICES; d++) {
        const uint64_t *rates = group->rates[d];
        if (rates[0] == FAKE_INFINITE && rates[1] == FAKE_INFINITE && rates[2] == FAKE_INFINITE &&
            rates[3] == FAKE_INFINITE)
            continue;
        used += (size_t)snprintf(buf + used, size - used, "%s8:%u", used ? "\n" : "", 16 * d);
        for (unsigned r = 0; r < FAKE_RATES; r++) {
            char word[24];
            print(word, sizeof word, rates[r], "max");
            used += (size_t)snprintf(buf + used, size - used, " %s=%s", rate_keys[r], word);
        }
    }
}

const struct fake_file fake_files[] = {
    {1, FAKE_CPU, "cpu.cfs_quota_us", write_quota, read_quota, 0},
    {1, FAKE_CPU, "cpu.cfs_period_us", write_period, read_period, 0},
    {1, FAKE_CPU, "cpu.cfs_burst_us", write_burst, read_burst, 0},
    {1, FAKE_CPU, "cpu.shares", write_shares, read_weight, 0},
    {1, FAKE_MEMORY, "memory.limit_in_bytes", write_limit, read_limit, 0},
    {1, FAKE_MEMORY, "memory.memsw.limit_in_bytes", write_memsw, read_memsw, 0},
    {1, FAKE_PIDS, "pids.max", write_pids, read_pids, 0},
    {1, FAKE_IO, "blkio.throttle.read_bps_device", write_throttle, read_throttle, 0},
    {1, FAKE_IO, "blkio.throttle.write_bps_device", write_throttle, read_throttle, 1},
    {1, FAKE_IO, "blkio.throttle.read_iops_device", write_throttle, read_throttle, 2},
    {1, FAKE_IO, "blkio.throttle.write_iops_device", write_throttle, read_throttle, 3},
    {2, FAKE_CPU, "cpu.max", write_cpu_max, read_cpu_max, 0},
    {2, FAKE_CPU, "cpu.max.burst", write_burst, read_burst, 0},
    {2, FAKE_CPU, "cpu.weight", write_weight, read_weight, 0},
    {2, FAKE_MEMORY, "memory.max", write_memory_max, read_limit, 0},
    {2, FAKE_MEMORY, "memory.swap.max", write_swap_max, read_swap_max, 0},
    {2, FAKE_PIDS, "pids.max", write_pids, read_pids, 0},
    {2, FAKE_IO, "io.max", write_io_max, read_io_max, 0},
};
const unsigned fake_file_count = ARRAY_LEN(fake_files);
