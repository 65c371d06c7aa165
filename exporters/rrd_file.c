#define RRD_EXPORT_DEPRECATED /* for stat_head_t, the head of a file; no deprecated function is used */
#include "exporters/rrd_file.h"

#include "base/fs.h"
#include "base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILE_ROOM = 16 << 20 }; /* more than a file needs */
enum { NAME_BYTES = 200, DAY_S = 86400, ARCHIVES = 4 };

static const char *const suffixes[FOLD_KINDS] = {[FOLD_AVERAGE] = ".avg.rrd", [FOLD_PEAK] = ".peak.rrd"};

/* What an archive's row spans and how long it is kept; 0: the step. */
static const struct {
    unsigned row_s, kept_s;
} archives[ARCHIVES] = {{0, DAY_S / 4}, {60, 2 * DAY_S}, {900, 31 * DAY_S}, {7200, 400 * DAY_S}};

/* --- names --- */

static bool is_plain(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || (c == '.' && !first);
}

bool rrd_file_path(const char *dir, const char *key, enum fold_kind kind, char path[static RRD_PATH_MAX])
{
    size_t at = strlen(dir) + 1, name = at;

    if (!*key || !str_format(path, RRD_PATH_MAX, "%s/", dir))
        return false;
    for (const char *c = key; *c; c++) {
        if (at + 16 > RRD_PATH_MAX)
            return false;
        if (at - name >= NAME_BYTES) {
            path[at++] = '%';
            path[at++] = '/';
            name = at;
        }
        if (is_plain(*c, at == name))
            path[at++] = *c;
        else
            at += (size_t)snprintf(path + at, 4, "%%%02X", (unsigned char)*c);
    }
    path[at] = '\0';
    return str_copy(path + at, RRD_PATH_MAX - at, suffixes[kind]);
}

bool rrd_file_key(const char *relative_path, char *key, size_t size)
{
    char coded[RRD_PATH_MAX];
    size_t at = 0;

    for (const char *c = relative_path; *c && at + 1 < sizeof coded; c++)
        if (c[0] == '%' && c[1] == '/')
            c++;
        else
            coded[at++] = *c;
    coded[at] = '\0';
    for (int kind = 0; kind < FOLD_KINDS; kind++)
        if (str_ends(coded, suffixes[kind])) {
            coded[at - strlen(suffixes[kind])] = '\0';
            return *coded && str_percent_decode(coded) && str_copy(key, size, coded);
        }
    return false;
}

/* --- librrd --- */

static int failed(char why[static RRD_WHY_MAX])
{
    const char *text = rrd_test_error() ? rrd_get_error() : strerror(errno);
    int result = strstr(text, "could not lock") ? RRD_FILE_BUSY : RRD_FILE_FAILED;

    str_copy(why, RRD_WHY_MAX, text);
    rrd_clear_error();
    return result;
}

struct schema {
    unsigned count;
    char texts[METRIC_N + ARCHIVES][64];
    const char *argv[METRIC_N + ARCHIVES];
};

/* The data sources and archives of a file. A point speaks for the one step before it. */
static void schema_make(enum fold_kind kind, unsigned step_s, struct schema *ret)
{
    const struct fold_columns *columns = fold_columns(kind);
    unsigned steps_before = 0;

    ret->count = 0;
    for (unsigned i = 0; i < columns->count; i++)
        snprintf(ret->texts[ret->count++], sizeof ret->texts[0], "DS:%s:GAUGE:%u:U:U",
                 metrics[columns->metrics[i]].rrd, step_s);
    for (unsigned i = 0; i < ARCHIVES; i++) {
        unsigned steps = archives[i].row_s > step_s ? (archives[i].row_s + step_s / 2) / step_s : 1;
        if (steps == steps_before)
            ret->count--; /* a step as long as this row: the longer archive alone */
        steps_before = steps;
        snprintf(ret->texts[ret->count++], sizeof ret->texts[0], "RRA:%s:0.999:%u:%u",
                 kind == FOLD_PEAK ? "MAX" : "AVERAGE", steps, archives[i].kept_s / (steps * step_s));
    }
    for (unsigned i = 0; i < ret->count; i++)
        ret->argv[i] = ret->texts[i];
}

/* librrd unlinks what it could not write whole and says nothing, so errno is the unlink's. */
static int silent_error(const char *path)
{
    char copy[RRD_PATH_MAX];
    struct statvfs fs;

    str_copy(copy, sizeof copy, path);
    if (statvfs(dirname(copy), &fs) < 0)
        return errno;
    return fs.f_bavail * fs.f_frsize < FILE_ROOM ? ENOSPC : EIO;
}

/* Makes @path whole or not at all, filled from @source unless that is NULL. */
static int make(const char *path, const char *source, struct schema *schema, unsigned step_s, int64_t last_s)
{
    const char *sources[] = {source, NULL};
    char temporary[RRD_PATH_MAX];

    if (!str_format(temporary, sizeof temporary, "%s.new", path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    rrd_clear_error();
    unlink(temporary);
    if (rrd_create_r2(temporary, step_s, last_s, 1, source ? sources : NULL, NULL, (int)schema->count,
                      schema->argv) < 0) {
        if (!rrd_test_error())
            errno = silent_error(path);
        return -1;
    }
    if (chmod(temporary, 0640) < 0 || rename(temporary, path) < 0)
        return -1;
    return 0;
}

static int make_folder_of(const char *path)
{
    char copy[RRD_PATH_MAX];

    str_copy(copy, sizeof copy, path);
    return fs_make_dirs(dirname(copy), 0750);
}

/* Whether the file has exactly the columns of @kind. */
static bool same_columns(enum fold_kind kind, char **names, unsigned long count)
{
    const struct fold_columns *columns = fold_columns(kind);

    if (count != columns->count)
        return false;
    for (unsigned i = 0; i < columns->count; i++)
        if (strcmp(names[i], metrics[columns->metrics[i]].rrd) != 0)
            return false;
    return true;
}

static unsigned long step_of(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    stat_head_t head;

    if (fd < 0 || pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head)
        return 0;
    return head.pdp_step;
}

static void free_texts(char **texts, unsigned long count)
{
    for (unsigned long i = 0; texts && i < count; i++)
        rrd_freemem(texts[i]);
    rrd_freemem(texts);
}

static int refresh(const char *path, enum fold_kind kind, struct schema *schema, unsigned step_s,
                   int64_t *ret_last_s, char why[static RRD_WHY_MAX])
{
    unsigned long count = 0;
    char **names = NULL, **values = NULL;
    time_t last_s = 0;

    if (rrd_lastupdate_r(path, &last_s, &count, &names, &values) < 0)
        return failed(why);
    bool same = same_columns(kind, names, count) && step_of(path) == step_s;
    free_texts(names, count);
    free_texts(values, count);
    if (!same && make(path, path, schema, step_s, last_s) < 0)
        return failed(why);
    *ret_last_s = last_s;
    return RRD_FILE_OK;
}

int rrd_file_prepare(const char *path, enum fold_kind kind, unsigned step_s, int64_t first_s,
                     int64_t *ret_last_s, char why[static RRD_WHY_MAX])
{
    struct schema schema;

    rrd_clear_error();
    schema_make(kind, step_s, &schema);
    if (access(path, F_OK) == 0)
        return refresh(path, kind, &schema, step_s, ret_last_s, why);
    int r = errno == ENOENT ? make_folder_of(path) : -errno;
    errno = -r;
    if (r < 0 || make(path, NULL, &schema, step_s, first_s) < 0)
        return failed(why);
    *ret_last_s = first_s;
    return RRD_FILE_OK;
}

/* --- points --- */

/* Up to six decimals, without trailing zeros: snprintf's "%g" takes four times as long, and these are most of
 * the archive's work. */
static void put_value(struct buf *out, double value)
{
    char digits[48], *end = digits + sizeof digits, *at = end;

    if (isnan(value)) {
        buf_puts(out, "U");
        return;
    }
    if (value < 0 || value >= 9e12) {
        buf_printf(out, "%.17g", value);
        return;
    }
    uint64_t scaled = (uint64_t)llround(value * 1e6), whole = scaled / 1000000, part = scaled % 1000000;
    bool is_needed = false;
    for (unsigned i = 0; i < 6; i++, part /= 10) {
        is_needed = is_needed || part % 10 != 0;
        if (is_needed)
            *--at = (char)('0' + part % 10);
    }
    if (is_needed)
        *--at = '.';
    do
        *--at = (char)('0' + whole % 10);
    while ((whole /= 10) > 0);
    buf_append(out, at, (size_t)(end - at));
}

void rrd_file_encode(const struct fold_point *point, enum fold_kind kind, struct buf *out)
{
    const struct fold_columns *columns = fold_columns(kind);
    const double *values = kind == FOLD_PEAK ? point->peak : point->average;

    buf_printf(out, "%" PRId64, point->end_s);
    for (unsigned i = 0; i < columns->count; i++) {
        buf_putc(out, ':');
        put_value(out, values[columns->metrics[i]]);
    }
    buf_putc(out, '\0');
}

int rrd_file_update(const char *path, const char *texts, unsigned count, char why[static RRD_WHY_MAX])
{
    const char **argv = calloc(count + 1, sizeof *argv);

    if (!argv) {
        str_copy(why, RRD_WHY_MAX, "out of memory");
        return RRD_FILE_FAILED;
    }
    for (unsigned i = 0; i < count; i++, texts += strlen(texts) + 1)
        argv[i] = texts;
    rrd_clear_error();
    int r = rrd_updatex_r(path, NULL, RRD_SKIP_PAST_UPDATES, (int)count, argv);
    if (r != 0 && access(path, F_OK) < 0 && errno == ENOENT)
        r = RRD_FILE_MISSING;
    else if (r != 0)
        r = failed(why);
    rrd_clear_error();
    free(argv);
    return r;
}
