#pragma once
/* How much disk the archive's files take, and which go when it is too much. */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

typedef bool archive_is_live_fn(void *owner, const char *key);

struct archive_disk {
    uint64_t bytes; /* of all files, afterwards */
    uint32_t files;
    uint32_t removed; /* subjects whose files went */
};
/* Removes the files of subjects that @is_live denies, those unused for longest first, until all fit
 * @max_bytes. 0 or -errno. */
MUST_USE int archive_disk_trim(const char *dir, uint64_t max_bytes, archive_is_live_fn *is_live, void *owner,
                               struct archive_disk *ret);
