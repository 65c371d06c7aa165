#include "exporters/journal_segment.h"

#include "base/fs.h"
#include "base/str.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct journal_iter {
    int dirfd;
    uint64_t *numbers;
    size_t count, next;
    struct journal_segment segment;
    struct journal_map map;
    size_t at;
    uint64_t skipped_bytes;
};

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The number in "00000012.mj"; 0 when @name is no segment's. */
static uint64_t segment_number(const char *name)
{
    char digits[JOURNAL_NAME_MAX], again[JOURNAL_NAME_MAX];
    uint64_t number;

    if (!str_copy(digits, sizeof digits, name) || !str_ends(digits, ".mj"))
        return 0;
    digits[strlen(digits) - 3] = '\0';
    if (str_to_u64(digits, &number) < 0 || strcmp(name, journal_segment_name(number, again)) != 0)
        return 0;
    return number;
}

int journal_list(const char *dir, uint64_t **ret_numbers)
{
    struct buf numbers = BUF_NULL;
    DIR *stream = opendir(dir);
    const struct dirent *entry;

    if (!stream)
        return -errno;
    while ((entry = readdir(stream))) {
        uint64_t number = segment_number(entry->d_name);
        if (number > 0)
            buf_append(&numbers, &number, sizeof number);
    }
    closedir(stream);
    if (buf_error(&numbers) < 0)
        return buf_error(&numbers);
    int count = (int)(numbers.len / sizeof(uint64_t));
    *ret_numbers = (void *)buf_take(&numbers);
    if (count > 0)
        qsort(*ret_numbers, (size_t)count, sizeof **ret_numbers, compare_numbers);
    return count;
}

int journal_iter_open(const char *dir, uint64_t from, struct journal_iter **ret)
{
    struct journal_iter *iter = calloc(1, sizeof *iter);

    if (!iter)
        return -ENOMEM;
    iter->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = iter->dirfd < 0 ? -errno : journal_list(dir, &iter->numbers);
    if (count < 0) {
        journal_iter_close(iter);
        return count;
    }
    iter->count = (size_t)count;
    while (iter->next < iter->count && iter->numbers[iter->next] < from)
        iter->next++;
    *ret = iter;
    return 0;
}

struct journal_iter *journal_iter_close(struct journal_iter *iter)
{
    if (iter) {
        journal_map_close(&iter->map);
        fd_close(iter->dirfd);
        free(iter->numbers);
        free(iter);
    }
    return NULL;
}

/* Opens the next segment that has a header. True, or false when there is none. */
static bool next_segment(struct journal_iter *iter)
{
    while (iter->next < iter->count) {
        journal_map_close(&iter->map);
        if (journal_map_open(iter->dirfd, iter->numbers[iter->next++], &iter->map) < 0)
            continue; /* dropped meanwhile, or empty */
        if (journal_head_read(iter->map.bytes, iter->map.len, &iter->segment) == 0) {
            iter->at = sizeof(struct journal_head);
            return true;
        }
        iter->skipped_bytes += iter->map.len;
    }
    journal_map_close(&iter->map);
    return false;
}

int journal_iter_next(struct journal_iter *iter, struct journal_item *ret)
{
    ret->segment = &iter->segment;
    if (iter->map.bytes && journal_map_next(&iter->map, &iter->at, ret, &iter->skipped_bytes))
        return JOURNAL_FRAME;
    return next_segment(iter) ? JOURNAL_SEGMENT : JOURNAL_END;
}

uint64_t journal_iter_skipped_bytes(const struct journal_iter *iter)
{
    return iter->skipped_bytes;
}
