#include "tests/conformance/fake_cgroupfs.h"
#include "base/str.h"
#include "tests/conformance/fake_files.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

static const char *const controller_names[FAKE_CONTROLLERS] = {"cpu", "io", "memory", "pids"};

uint32_t fake_device(unsigned index)
{
    return (uint32_t)makedev(8, 16 * index);
}

static void group_init(struct fake_group *group, int version)
{
    group->quota = FAKE_INFINITE;
    group->period = 100000;
    group->weight = version == 1 ? 1024 : 100;
    group->limit = group->memsw = group->swap = FAKE_INFINITE;
    group->pids = FAKE_INFINITE;
    for (unsigned d = 0; d < FAKE_DEVICES; d++)
        for (unsigned r = 0; r < FAKE_RATES; r++)
            group->rates[d][r] = FAKE_INFINITE;
}

void fake_init(struct fake_cgroupfs *fs, int version)
{
    memset(fs, 0, sizeof *fs);
    fs->version = version;
    fs->count = 1;
    strcpy(fs->groups[0].path, "/");
    fs->groups[0].parent = -1;
    fs->groups[0].populated = true;
    group_init(&fs->groups[0], version);
}

struct fake_group *fake_find(struct fake_cgroupfs *fs, const char *path)
{
    for (unsigned i = 0; i < fs->count; i++)
        if (strcmp(fs->groups[i].path, path) == 0)
            return &fs->groups[i];
    return NULL;
}

int fake_mkdir(struct fake_cgroupfs *fs, const char *path)
{
    char parent[FAKE_PATH_MAX];
    if (fs->count == FAKE_GROUPS_MAX || !str_copy(parent, sizeof parent, path))
        return -ENOSPC;
    if (fake_find(fs, path))
        return -EEXIST;
    char *slash = strrchr(parent, '/');
    slash[slash == parent ? 1 : 0] = '\0';
    struct fake_group *above = fake_find(fs, parent);
    if (!above)
        return -ENOENT;
    struct fake_group *group = &fs->groups[fs->count];
    memset(group, 0, sizeof *group);
    group_init(group, fs->version);
    (void)str_copy(group->path, sizeof group->path, path);
    group->parent = (int)(above - fs->groups);
    fs->count++;
    return 0;
}

/* Bits of the controllers that @group has. */
static unsigned available(const struct fake_cgroupfs *fs, const struct fake_group *group)
{
    if (group->parent < 0)
        return (1U << FAKE_CONTROLLERS) - 1;
    return fs->groups[group->parent].subtree_control;
}

void fake_controllers(const struct fake_cgroupfs *fs, const struct fake_group *group, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = '\0';
    for (unsigned c = 0; c < FAKE_CONTROLLERS; c++)
        if (available(fs, group) & (1U << c))
            used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? " " : "", controller_names[c]);
}

/* kernel/cgroup/cgroup.c, cgroup_subtree_control_write: one "+name" here. */
static int write_subtree_control(struct fake_cgroupfs *fs, struct fake_group *group, const char *text)
{
    unsigned c = 0;
    if (text[0] != '+')
        return -EINVAL;
    while (c < FAKE_CONTROLLERS && strcmp(controller_names[c], text + 1) != 0)
        c++;
    if (c == FAKE_CONTROLLERS)
        return -EINVAL;
    if (!(available(fs, group) & (1U << c)))
        return -ENOENT;
    if (group->parent >= 0 && group->populated) {
        if (c == FAKE_MEMORY || c == FAKE_IO)
            return -EBUSY;
        group->threaded = true;
    }
    group->subtree_control |= 1U << c;
    return 0;
}

static const struct fake_file *find_file(const struct fake_cgroupfs *fs, const struct fake_group *group,
                                         const char *file)
{
    for (unsigned i = 0; i < fake_file_count; i++) {
        const struct fake_file *found = &fake_files[i];
        if (found->version != fs->version || strcmp(found->name, file) != 0)
            continue;
        if (group->parent < 0 || (fs->version == 2 && !(available(fs, group) & (1U << found->controller))))
            return NULL;
        return found;
    }
    return NULL;
}

int fake_write(struct fake_cgroupfs *fs, const char *path, const char *file, const char *text)
{
    struct fake_group *group = fake_find(fs, path);
    if (!group)
        return -ENOENT;
    if (fs->version == 2 && strcmp(file, "cgroup.subtree_control") == 0)
        return write_subtree_control(fs, group, text);
    const struct fake_file *found = find_file(fs, group, file);
    return found ? found->write(fs, group, found, text) : -ENOENT;
}

int fake_read(struct fake_cgroupfs *fs, const char *path, const char *file, char *buf, size_t size)
{
    struct fake_group *group = fake_find(fs, path);
    const struct fake_file *found = group ? find_file(fs, group, file) : NULL;
    if (!found)
        return -ENOENT;
    buf[0] = '\0';
    found->read(group, found, buf, size);
    return 0;
}
