#include "exporters/journal_segment.h"

#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_BYTES_MIN = 1 << 20 };

struct journal {
    struct journal_options options;
    int dirfd, fd;
    struct journal_segment segment; /* the newest; number 0: none */
    uint64_t length;                /* its bytes */
    uint64_t snapshot_bytes;        /* of them */
    uint64_t last_sequence;
    uint64_t *older; /* numbers of the other segments, ascending */
    size_t older_count;
    uint64_t older_bytes;
    uint64_t folded; /* segments below it may be dropped */
    uint64_t forced_drops, cut_bytes;
    uint64_t synced_mono_ns;
    bool dirty;
};

/* --- opening --- */

static uint64_t segment_bytes(const struct journal *journal, uint64_t number)
{
    char name[JOURNAL_NAME_MAX];
    struct stat st;

    if (fstatat(journal->dirfd, journal_segment_name(number, name), &st, 0) < 0)
        return 0;
    return (uint64_t)st.st_size;
}

/* Finds the end of the last whole frame of the newest segment, and its sequence. */
static int survey(struct journal *journal, uint64_t number)
{
    struct journal_map map;
    struct journal_item item;
    uint64_t skipped = 0;
    size_t at = sizeof(struct journal_head);
    int r = journal_map_open(journal->dirfd, number, &map);

    if (r < 0)
        return r;
    r = journal_head_read(map.bytes, map.len, &journal->segment);
    journal->length = at;
    journal->snapshot_bytes = at;
    while (r == 0 && journal_map_next(&map, &at, &item, &skipped)) {
        journal->length = at;
        if (item.header.sequence > 0)
            journal->last_sequence = item.header.sequence;
        else
            journal->snapshot_bytes = at;
    }
    if (r == 0)
        journal->cut_bytes = map.len - journal->length;
    journal_map_close(&map);
    return r;
}

static int open_newest(struct journal *journal, uint64_t number)
{
    char name[JOURNAL_NAME_MAX];
    int r = survey(journal, number);

    if (r < 0)
        return r;
    journal->segment.number = number;
    journal->fd = openat(journal->dirfd, journal_segment_name(number, name), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (journal->fd < 0)
        return -errno;
    if (journal->cut_bytes > 0 && ftruncate(journal->fd, (off_t)journal->length) < 0)
        return -errno;
    return 0;
}

static int open_segments(struct journal *journal)
{
    int count = journal_list(journal->options.dir, &journal->older);

    if (count <= 0)
        return count;
    journal->older_count = (size_t)count;
    for (size_t i = 0; i < journal->older_count; i++)
        journal->older_bytes += segment_bytes(journal, journal->older[i]);
    uint64_t newest = journal->older[journal->older_count - 1];
    uint64_t newest_bytes = segment_bytes(journal, newest);
    int r = open_newest(journal, newest);
    if (r == -EBADMSG) {
        journal->segment = (struct journal_segment){.number = newest};
        return 0; /* a segment without a header is left as it is; the next one is begun after it */
    }
    if (r == 0) {
        journal->older_count--;
        journal->older_bytes -= newest_bytes;
    }
    return r;
}

int journal_open(const struct journal_options *options, struct journal **ret)
{
    struct journal *journal = calloc(1, sizeof *journal);

    if (!journal)
        return -ENOMEM;
    journal->options = *options;
    journal->fd = journal->dirfd = -1;
    if (journal->options.segment_bytes == 0)
        journal->options.segment_bytes = options->max_bytes / 16;
    if (journal->options.segment_bytes < SEGMENT_BYTES_MIN && options->segment_bytes == 0)
        journal->options.segment_bytes = SEGMENT_BYTES_MIN;
    int r = fs_make_dirs(options->dir, 0750);
    if (r == 0) {
        journal->dirfd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = journal->dirfd < 0 ? -errno : open_segments(journal);
    }
    if (r < 0) {
        journal_close(journal);
        return r;
    }
    *ret = journal;
    return 0;
}

struct journal *journal_close(struct journal *journal)
{
    if (journal) {
        if (journal->dirty)
            fdatasync(journal->fd);
        fd_close(journal->fd);
        fd_close(journal->dirfd);
        free(journal->older);
        free(journal);
    }
    return NULL;
}

/* --- what it says --- */

uint64_t journal_life(const struct journal *journal)
{
    return journal->segment.life;
}

uint64_t journal_last_sequence(const struct journal *journal)
{
    return journal->last_sequence;
}

uint64_t journal_segment_number(const struct journal *journal)
{
    return journal->segment.number;
}

uint64_t journal_bytes(const struct journal *journal)
{
    return journal->older_bytes + journal->length;
}

uint64_t journal_cut_bytes(const struct journal *journal)
{
    return journal->cut_bytes;
}

uint64_t journal_forced_drops(const struct journal *journal)
{
    return journal->forced_drops;
}

void journal_folded(struct journal *journal, uint64_t number)
{
    journal->folded = number;
}

bool journal_wants_segment(const struct journal *journal, uint64_t life)
{
    return journal->fd < 0 || journal->segment.life != life ||
           journal->length - journal->snapshot_bytes >= journal->options.segment_bytes;
}

/* --- writing --- */

/* Drops the oldest segments until all fit max_bytes. */
static void drop_oldest(struct journal *journal)
{
    char name[JOURNAL_NAME_MAX];
    size_t drop = 0;

    while (drop < journal->older_count && journal_bytes(journal) > journal->options.max_bytes) {
        uint64_t number = journal->older[drop++];
        uint64_t bytes = segment_bytes(journal, number);
        if (number >= journal->folded)
            journal->forced_drops++;
        unlinkat(journal->dirfd, journal_segment_name(number, name), 0);
        journal->older_bytes -= bytes < journal->older_bytes ? bytes : journal->older_bytes;
    }
    journal->older_count -= drop;
    memmove(journal->older, journal->older + drop, journal->older_count * sizeof *journal->older);
}

/* A file with header and snapshot, under its final name only when whole. fd or -errno. */
static int make_segment(struct journal *journal, const struct journal_segment *segment,
                        const struct buf *bytes)
{
    char name[JOURNAL_NAME_MAX];
    CLEANUP_FD int fd =
        openat(journal->dirfd, "new", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);

    if (fd < 0)
        return -errno;
    errno = EIO;
    if (write(fd, bytes->data, bytes->len) != (ssize_t)bytes->len)
        return -errno;
    if (renameat(journal->dirfd, "new", journal->dirfd, journal_segment_name(segment->number, name)) < 0)
        return -errno;
    return fd_take(&fd);
}

/* The newest segment is now one of the older ones. */
static int retire(struct journal *journal)
{
    uint64_t *older = realloc(journal->older, (journal->older_count + 1) * sizeof *older);

    if (!older)
        return -ENOMEM;
    journal->older = older;
    if (journal->fd < 0)
        return 0;
    older[journal->older_count++] = journal->segment.number;
    journal->older_bytes += journal->length;
    if (journal->dirty)
        fdatasync(journal->fd);
    journal->dirty = false;
    fd_close(fd_take(&journal->fd));
    return 0;
}

int journal_start_segment(struct journal *journal, const struct journal_segment *segment,
                          const struct buf *snapshot)
{
    struct journal_segment named = *segment;
    struct journal_head head;
    struct buf bytes = BUF_NULL;

    named.number = journal->segment.number + 1;
    journal_head_make(&named, &head);
    buf_append(&bytes, &head, sizeof head);
    buf_append(&bytes, snapshot->data, snapshot->len);
    int fd = buf_error(&bytes) < 0 ? buf_error(&bytes) : make_segment(journal, &named, &bytes);
    uint64_t length = bytes.len;
    buf_fini(&bytes);
    if (fd < 0)
        return fd;
    int r = retire(journal);
    if (r < 0) {
        fd_close(fd);
        return r;
    }
    if (named.life != journal->segment.life)
        journal->last_sequence = 0;
    journal->fd = fd;
    journal->segment = named;
    journal->length = journal->snapshot_bytes = length;
    journal->dirty = true;
    drop_oldest(journal);
    return 0;
}

/* The sequence of the last of the whole frames in @frames, @before when they have none. */
static uint64_t last_sequence_of(const struct buf *frames, uint64_t before)
{
    struct frame_header header = {0};

    for (size_t at = 0; at < frames->len; at += frame_size(header.len)) {
        memcpy(&header, frames->data + at, sizeof header);
        before = header.sequence > 0 ? header.sequence : before;
    }
    return before;
}

int journal_append(struct journal *journal, const struct buf *frames)
{
    ssize_t written;

    if (frames->len == 0)
        return 0;
    if (journal->fd < 0)
        return -EBADF;
    do
        written = write(journal->fd, frames->data, frames->len);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)frames->len) {
        int error = written < 0 ? errno : ENOSPC;
        if (written > 0 && ftruncate(journal->fd, (off_t)journal->length) < 0)
            return -errno; /* the torn tail is found by its checksum */
        return -error;
    }
    journal->length += frames->len;
    journal->last_sequence = last_sequence_of(frames, journal->last_sequence);
    journal->dirty = true;
    return 0;
}

int journal_sync(struct journal *journal, uint64_t now_mono_ns)
{
    if (!journal->dirty || now_mono_ns - journal->synced_mono_ns < journal->options.sync_ns)
        return 0;
    journal->synced_mono_ns = now_mono_ns;
    if (fdatasync(journal->fd) < 0)
        return -errno;
    journal->dirty = false;
    return 0;
}
