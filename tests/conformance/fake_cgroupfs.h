#pragma once
/*
 * A cgroup file system in memory with the kernel's rules: which writes it takes, what it makes of them, and
 * with which errno it refuses the others. Plain data, so that a state is copied by assignment. What it claims
 * of the kernel is checked against the kernel by the same list of cases (conformance.h).
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

enum { FAKE_GROUPS_MAX = 48, FAKE_DEVICES = 3, FAKE_PATH_MAX = 128, FAKE_RATES = 4 };
#define FAKE_INFINITE UINT64_MAX

/* Controllers of v2, as bits of subtree_control. */
enum fake_controller { FAKE_CPU, FAKE_IO, FAKE_MEMORY, FAKE_PIDS, FAKE_CONTROLLERS };

struct fake_group {
    char path[FAKE_PATH_MAX];
    int parent; /* -1: the root */
    bool populated;
    bool threaded;            /* v2: "+cpu" beside processes made it a threaded domain */
    unsigned subtree_control; /* v2: bits */

    uint64_t quota, period, burst; /* microseconds */
    uint64_t weight;               /* v1: shares */
    uint64_t limit, memsw, swap;   /* bytes; memsw on v1, swap on v2 */
    uint64_t usage;
    uint64_t pids;
    uint64_t rates[FAKE_DEVICES][FAKE_RATES]; /* read, write, read_iops, write_iops */
};

struct fake_cgroupfs {
    int version;
    unsigned count;  /* groups[0] is "/" */
    unsigned killed; /* v2: shrinks below usage that made the OOM killer run */
    struct fake_group groups[FAKE_GROUPS_MAX];
};

/* The devices that exist are 8:0, 8:16, 8:32; 8:1 is a partition. */
uint32_t fake_device(unsigned index);

void fake_init(struct fake_cgroupfs *fs, int version);
struct fake_group *fake_find(struct fake_cgroupfs *fs, const char *path); /* or NULL */
/* As the system calls: 0 or -errno. */
MUST_USE int fake_mkdir(struct fake_cgroupfs *fs, const char *path);
MUST_USE int fake_write(struct fake_cgroupfs *fs, const char *path, const char *file, const char *text);
MUST_USE int fake_read(struct fake_cgroupfs *fs, const char *path, const char *file, char *buf, size_t size);
/* v2: the words of cgroup.controllers. */
void fake_controllers(const struct fake_cgroupfs *fs, const struct fake_group *group, char *buf, size_t size);
