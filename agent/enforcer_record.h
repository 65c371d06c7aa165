#pragma once
/*
 * A plan in a file, with its length, checksum and boot: what the enforcer's memory is made of. Nothing is
 * synced to disk: a record is for the next process of the same boot, which finds what was written.
 */

#include "model/plan.h"
#include <sys/types.h>

enum { RECORD_BOOT_MAX = 40 };

/* This boot's id. 0 or -errno. */
MUST_USE int record_boot_id(char buf[static RECORD_BOOT_MAX]);
/* Writes @plan at @offset. 0 with the bytes it takes, or -errno. */
MUST_USE int record_write(int fd, off_t offset, const char *boot_id, const struct plan *plan,
                          size_t *ret_len);

enum record_result {
    RECORD_OK = 0,
    RECORD_END = 1,   /* no whole record here: the end, or a torn tail */
    RECORD_OTHER = 2, /* of another boot */
};
/* Reads the record at the front of the bytes. enum record_result or -ENOMEM; *ret_used for OK and OTHER. */
MUST_USE int record_read(const char *bytes, size_t len, const char *boot_id, struct plan *ret,
                         size_t *ret_used);
