#pragma once
/* Anonymous files that carry bytes between processes: written once, sealed, passed, mapped. */

#include "base/attrs.h"
#include <stdint.h>

/* A memfd (0600) with the bytes, sealed against every change. fd or -errno. */
MUST_USE int memfd_seal_bytes(const char *name, const void *bytes, size_t len);

struct memfd_view {
    const void *bytes;
    size_t len;
};
#define MEMFD_VIEW_NULL ((struct memfd_view){0})
/* Maps a fully sealed memfd (F_SEAL_WRITE, SHRINK, GROW) of at most @limit bytes read-only; does not take
   @fd. 0, -EPERM when it is not sealed, -EFBIG, or -errno. */
MUST_USE int memfd_map(int fd, size_t limit, struct memfd_view *ret_view);
void memfd_view_fini(struct memfd_view *view);
