#pragma once
/*
 * What sysfs says about block devices, remembered for a minute: their numbers are given out again.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

struct block; /* opaque */

/* @root: "" or a fixture directory that holds sys/. NULL: out of memory. */
struct block *block_new(const char *root);
struct block *block_free(struct block *block);

/* Call it once in a while: forgets what is older than a minute at @now_ns. */
void block_forget_old(struct block *block, uint64_t now_ns);

/*
 * Whether the I/O of a group to this device is to be counted: not when the device only passes its I/O on to
 * others that are counted in the same group again (device mapper, md but for RAID 4 to 6, whose own thread
 * does the I/O). A parse_device_fn.
 */
bool block_counted(void *block, uint32_t major, uint32_t minor);
/* Whether it is a disk of this machine: neither a partition nor made of other devices, files or memory. */
bool block_is_disk(struct block *block, uint32_t major, uint32_t minor);
