#include "collectors/block.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdlib.h>

enum { DEVICES_MAX = 256, ROOT_MAX = 256 };

#define REMEMBERED_NS (60 * NSEC_PER_SEC)

struct device {
    uint32_t major, minor;
    bool counted, disk;
};

struct block {
    char root[ROOT_MAX];
    uint64_t since_ns; /* when it was last empty */
    unsigned count;
    struct device devices[DEVICES_MAX];
};

struct block *block_new(const char *root)
{
    struct block *block = calloc(1, sizeof *block);
    if (!block || !str_copy(block->root, sizeof block->root, root))
        return block_free(block);
    return block;
}

struct block *block_free(struct block *block)
{
    free(block);
    return NULL;
}

/* RAID 4 to 6 have a thread that does the I/O, in the root group; the other levels and device mapper hand the
 * group's own on. */
static bool passes_on(int dirfd)
{
    char level[16];
    if (fs_exists_at(dirfd, "dm"))
        return true;
    return fs_read_at(dirfd, "md/level", level, sizeof level) > 0 && !str_starts(level, "raid4") &&
           !str_starts(level, "raid5") && !str_starts(level, "raid6");
}

static struct device look_up(const struct block *block, uint32_t major, uint32_t minor)
{
    struct device device = {.major = major, .minor = minor, .counted = true, .disk = false};
    char path[ROOT_MAX + 64];
    if (!str_format(path, sizeof path, "%s/sys/dev/block/%u:%u", block->root, major, minor))
        return device;
    CLEANUP_FD int dirfd = fs_open_dir(AT_FDCWD, path);
    if (dirfd < 0)
        return device;
    device.counted = !passes_on(dirfd);
    device.disk = fs_exists_at(dirfd, "device"); /* the hardware's, or the hypervisor's, side of it */
    return device;
}

static struct device find(struct block *block, uint32_t major, uint32_t minor)
{
    for (unsigned i = 0; i < block->count; i++)
        if (block->devices[i].major == major && block->devices[i].minor == minor)
            return block->devices[i];
    struct device device = look_up(block, major, minor);
    if (block->count == DEVICES_MAX)
        return device;
    block->devices[block->count++] = device;
    return device;
}

void block_forget_old(struct block *block, uint64_t now_ns)
{
    if (block->since_ns && now_ns - block->since_ns < REMEMBERED_NS)
        return;
    block->since_ns = now_ns;
    block->count = 0;
}

bool block_counted(void *block, uint32_t major, uint32_t minor)
{
    return find(block, major, minor).counted;
}

bool block_is_disk(struct block *block, uint32_t major, uint32_t minor)
{
    return find(block, major, minor).disk;
}
