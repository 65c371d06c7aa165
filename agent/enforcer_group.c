#include "agent/enforcer_group.h"
#include "base/fs.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int enforcer_group_open(const struct cgroup_host *host, const struct plan_row *row, const char *path)
{
    int h = cgroup_host_by_device(host, row->hierarchy);
    if (h < 0 || host->hierarchies[h].version != row->version)
        return -ESTALE;
    CLEANUP_FD int fd = fs_open_dir(host->hierarchies[h].dirfd, cgroup_below(path));
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    bool any = !row->cgroup_id && (row->flags & PLAN_ROW_CREATED || strcmp(path, "/") == 0);
    return any || st.st_ino == row->cgroup_id ? fd_take(&fd) : -ESTALE;
}
