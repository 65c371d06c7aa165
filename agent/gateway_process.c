#include "agent/gateway_process.h"
#include "base/fs.h"
#include "base/str.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 4096, PATH_SIZE = 64 };

void gateway_process_parse(const char *stat, long ticks_per_second, long page_bytes,
                           struct gateway_process *ret)
{
    unsigned long long user, system;
    long long resident;
    char state;
    /* The name may hold blanks and parentheses: the fields begin after the last one. */
    const char *after = strrchr(stat, ')');

    *ret = (struct gateway_process){0};
    if (!after ||
        sscanf(after + 1,
               " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u %lld",
               &state, &user, &system, &resident) != 4)
        return;
    ret->stopped = state == 'T' || state == 't';
    ret->has_cpu = ticks_per_second > 0;
    ret->cpu_seconds = ret->has_cpu ? (double)(user + system) / (double)ticks_per_second : 0;
    ret->has_memory = resident >= 0;
    ret->memory_bytes = ret->has_memory ? (uint64_t)resident * (uint64_t)page_bytes : 0;
}

static bool read_proportional(int pid, uint64_t *ret_bytes)
{
    char path[PATH_SIZE], text[TEXT_MAX];
    unsigned long long kib;

    str_format(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) < 0)
        return false;
    const char *line = strstr(text, "\nPss:");
    if (!line || sscanf(line, "\nPss: %llu kB", &kib) != 1)
        return false;
    *ret_bytes = kib * 1024;
    return true;
}

void gateway_process_read(int pid, struct gateway_process *ret)
{
    char path[PATH_SIZE], text[TEXT_MAX];

    *ret = (struct gateway_process){0};
    if (pid <= 0)
        return;
    str_format(path, sizeof path, "/proc/%d/stat", pid);
    if (fs_read_at(AT_FDCWD, path, text, sizeof text) < 0)
        return;
    gateway_process_parse(text, sysconf(_SC_CLK_TCK), sysconf(_SC_PAGESIZE), ret);
    if (read_proportional(pid, &ret->memory_bytes))
        ret->has_memory = true;
}
