#include "base/memfd.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS_NEEDED = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };

int memfd_seal_bytes(const char *name, const void *bytes, size_t len)
{
    CLEANUP_FD int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    /* a memfd is born 0777: whoever could open it through /proc could write before the seals are on */
    if (fchmod(fd, 0600) < 0)
        return -errno;
    int error = fd_write_all(fd, bytes, len);
    if (error)
        return error;
    if (fcntl(fd, F_ADD_SEALS, SEALS_NEEDED | F_SEAL_SEAL) < 0)
        return -errno;
    return fd_take(&fd);
}

int memfd_map(int fd, size_t limit, struct memfd_view *ret_view)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return errno == EINVAL ? -EPERM : -errno;
    if ((seals & SEALS_NEEDED) != SEALS_NEEDED)
        return -EPERM;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if ((uint64_t)st.st_size > limit)
        return -EFBIG;
    if (st.st_size == 0) {
        *ret_view = (struct memfd_view){.bytes = "", .len = 0};
        return 0;
    }
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *ret_view = (struct memfd_view){.bytes = bytes, .len = (size_t)st.st_size};
    return 0;
}

void memfd_view_fini(struct memfd_view *view)
{
    if (view->len)
        munmap((void *)(uintptr_t)view->bytes, view->len);
    *view = MEMFD_VIEW_NULL;
}
