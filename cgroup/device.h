#pragma once
/* Block devices as policies name them and as kernel files number them. */

#include "base/attrs.h"
#include <stdint.h>

/* The number of whole disk @path ("/dev/vda"), major << 20 | minor's kernel packing of makedev truncated to
   32 bits. 0; -ENODEV when there is no such file; -ENXIO when it is no block device or only a partition
   (blk-throttle and io.max know whole disks only: ENODEV from the kernel). @why gets a sentence that names
   the disk to use. */
MUST_USE int device_resolve(const char *path, uint32_t *ret_device, char *why, unsigned long why_size);
/* "/dev/vda" of a number, or "MAJ:MIN" when this host has no such disk. Returns buf. */
const char *device_name(uint32_t device, char *buf, unsigned long size);
