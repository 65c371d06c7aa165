#include "cgroup/device.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A partition's entry in sysfs lies in its disk's: /sys/block/vda/vda1. */
static const char *disk_of(dev_t device, char *buf, size_t size)
{
    char link[64], target[PATH_MAX];
    str_format(link, sizeof link, "/sys/dev/block/%u:%u", major(device), minor(device));
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0)
        return NULL;
    target[n] = '\0';
    str_copy(buf, size, basename(dirname(target)));
    return buf;
}

int device_resolve(const char *path, uint32_t *ret_device, char *why, unsigned long why_size)
{
    struct stat st;
    char partition[64], disk[NAME_MAX + 1];
    if (stat(path, &st) < 0) {
        str_format(why, why_size, "there is no device '%s' on this host", path);
        return -ENODEV;
    }
    if (!S_ISBLK(st.st_mode)) {
        str_format(why, why_size, "'%s' is not a block device", path);
        return -ENXIO;
    }
    str_format(partition, sizeof partition, "/sys/dev/block/%u:%u/partition", major(st.st_rdev),
               minor(st.st_rdev));
    if (fs_exists_at(AT_FDCWD, partition)) {
        const char *name = disk_of(st.st_rdev, disk, sizeof disk);
        str_format(why, why_size, "'%s' is a partition and the kernel throttles whole disks: use '/dev/%s'",
                   path, name ? name : "DISK");
        return -ENXIO;
    }
    *ret_device = (uint32_t)st.st_rdev;
    return 0;
}

const char *device_name(uint32_t device, char *buf, unsigned long size)
{
    char link[64], target[PATH_MAX];
    unsigned maj = major((dev_t)device), min = minor((dev_t)device);
    str_format(link, sizeof link, "/sys/dev/block/%u:%u", maj, min);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0) {
        str_format(buf, size, "%u:%u", maj, min);
        return buf;
    }
    target[n] = '\0';
    str_format(buf, size, "/dev/%s", basename(target));
    return buf;
}
