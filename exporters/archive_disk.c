#include "exporters/archive_disk.h"

#include "base/map.h"
#include "exporters/rrd_file.h"
#include "model/group.h"
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct holding {
    char *key;
    uint64_t bytes;
    int64_t used_s; /* last written */
};

struct survey {
    struct holding *holdings;
    size_t count, capacity;
    struct map by_key; /* to index + 1 */
    struct archive_disk disk;
};

static struct holding *holding_of(struct survey *survey, const char *key)
{
    size_t index = (size_t)(uintptr_t)map_get_str(&survey->by_key, key);

    if (index > 0)
        return &survey->holdings[index - 1];
    if (survey->count == survey->capacity) {
        size_t capacity = survey->capacity ? 2 * survey->capacity : 64;
        struct holding *grown = reallocarray(survey->holdings, capacity, sizeof *grown);
        if (!grown)
            return NULL;
        survey->holdings = grown;
        survey->capacity = capacity;
    }
    struct holding holding = {.key = strdup(key)};
    if (!holding.key || map_set_str(&survey->by_key, key, (void *)(uintptr_t)(survey->count + 1)) < 0) {
        free(holding.key);
        return NULL;
    }
    survey->holdings[survey->count] = holding;
    return &survey->holdings[survey->count++];
}

static int count_file(struct survey *survey, const char *relative_path, const struct stat *st)
{
    char key[GROUP_PATH_MAX];
    uint64_t bytes = (uint64_t)st->st_blocks * 512;

    survey->disk.bytes += bytes;
    survey->disk.files++;
    if (!rrd_file_key(relative_path, key, sizeof key))
        return 0;
    struct holding *holding = holding_of(survey, key);
    if (!holding)
        return -ENOMEM;
    holding->bytes += bytes;
    if (st->st_mtime > holding->used_s)
        holding->used_s = st->st_mtime;
    return 0;
}

static int look(struct survey *survey, const char *dir)
{
    char *const roots[] = {(char *)(uintptr_t)dir, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    const FTSENT *entry;
    int r = 0;

    if (!walk)
        return -errno;
    while (r == 0 && (entry = fts_read(walk)))
        if (entry->fts_info == FTS_F)
            r = count_file(survey, entry->fts_path + strlen(dir) + 1, entry->fts_statp);
    fts_close(walk);
    return r;
}

static int compare_use(const void *a, const void *b)
{
    const struct holding *x = a, *y = b;

    return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

static void remove_holding(struct survey *survey, const char *dir, const struct holding *holding)
{
    char path[RRD_PATH_MAX];

    for (int kind = 0; kind < FOLD_KINDS; kind++)
        if (rrd_file_path(dir, holding->key, kind, path) && unlink(path) == 0)
            survey->disk.files--;
    survey->disk.bytes -= holding->bytes;
    survey->disk.removed++;
}

int archive_disk_trim(const char *dir, uint64_t max_bytes, archive_is_live_fn *is_live, void *owner,
                      struct archive_disk *ret)
{
    struct survey survey = {0};
    int r = look(&survey, dir);

    if (r == 0 && survey.disk.bytes > max_bytes)
        qsort(survey.holdings, survey.count, sizeof *survey.holdings, compare_use);
    for (size_t i = 0; r == 0 && i < survey.count && survey.disk.bytes > max_bytes; i++)
        if (!is_live(owner, survey.holdings[i].key))
            remove_holding(&survey, dir, &survey.holdings[i]);
    for (size_t i = 0; i < survey.count; i++)
        free(survey.holdings[i].key);
    free(survey.holdings);
    map_fini(&survey.by_key);
    if (r == 0)
        *ret = survey.disk;
    return r;
}
