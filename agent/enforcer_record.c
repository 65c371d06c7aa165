#include "agent/enforcer_record.h"
#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

#define RECORD_MAGIC UINT32_C(0x46524e45) /* "ENRF" */

struct record_header {
    uint32_t magic;
    uint32_t crc; /* crc32 of boot_id, len and the plan's bytes */
    uint64_t len; /* of the plan's bytes */
    char boot_id[RECORD_BOOT_MAX];
};

int record_boot_id(char buf[static RECORD_BOOT_MAX])
{
    ssize_t len = fs_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", buf, RECORD_BOOT_MAX);
    if (len < 0)
        return (int)len;
    buf[strcspn(buf, "\n")] = '\0';
    return 0;
}

static uint32_t checksum(const struct record_header *header, const void *bytes)
{
    uLong crc = crc32_z(0, (const Bytef *)header->boot_id, sizeof header->boot_id);
    crc = crc32_z(crc, (const Bytef *)&header->len, sizeof header->len);
    return (uint32_t)crc32_z(crc, bytes, header->len);
}

int record_write(int fd, off_t offset, const char *boot_id, const struct plan *plan, size_t *ret_len)
{
    struct buf bytes CLEANUP(buf_fini) = BUF_NULL;
    plan_encode(plan, &bytes);
    if (buf_error(&bytes))
        return buf_error(&bytes);
    struct record_header header = {.magic = RECORD_MAGIC, .len = bytes.len};
    (void)str_copy(header.boot_id, sizeof header.boot_id, boot_id);
    header.crc = checksum(&header, bytes.data);
    struct iovec parts[] = {{&header, sizeof header}, {bytes.data, bytes.len}};
    ssize_t written = pwritev(fd, parts, ARRAY_LEN(parts), offset);
    if (written < 0)
        return -errno;
    if ((size_t)written != sizeof header + bytes.len)
        return -ENOSPC;
    *ret_len = (size_t)written;
    return 0;
}

int record_read(const char *bytes, size_t len, const char *boot_id, struct plan *ret, size_t *ret_used)
{
    struct record_header header;
    if (len < sizeof header)
        return RECORD_END;
    memcpy(&header, bytes, sizeof header);
    const char *body = bytes + sizeof header;
    if (header.magic != RECORD_MAGIC || header.len > len - sizeof header ||
        header.crc != checksum(&header, body))
        return RECORD_END;
    *ret_used = sizeof header + header.len;
    if (strncmp(header.boot_id, boot_id, sizeof header.boot_id) != 0)
        return RECORD_OTHER;
    int r = plan_decode(body, header.len, ret);
    return r == -EBADMSG ? RECORD_END : r;
}
