#include "collectors/host_row.h"

#include "base/fs.h"
#include "base/str.h"
#include "collectors/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOST_TEXT_SIZE = 262144, HOST_ROOT_MAX = 256 };

#define USEC_PER_SEC UINT64_C(1000000)
#define CORE_PPM UINT64_C(1000000)
#define SECTOR_BYTES UINT64_C(512)

/* One metric: a key's number, plus others, less one. Absent when any of them is. */
struct host_term {
    uint16_t metric; /* enum metric_id */
    const char *key;
    const char *plus[2];
    const char *less;
};

struct host_file {
    const char *path; /* below the root */
    enum metric_form form;
    uint64_t factor;
    const struct host_term *terms;
    unsigned term_count;
};

static const struct host_term meminfo_terms[] = {
    {.metric = METRIC_MEMORY_LIMIT, .key = "MemTotal:"},
    {.metric = METRIC_MEMORY_USAGE, .key = "MemTotal:", .less = "MemAvailable:"},
    {.metric = METRIC_MEMORY_ANON, .key = "AnonPages:"},
    {.metric = METRIC_MEMORY_FILE, .key = "Cached:", .plus = {"Buffers:"}},
    {.metric = METRIC_MEMORY_KERNEL, .key = "Slab:", .plus = {"KernelStack:", "PageTables:"}},
    {.metric = METRIC_MEMORY_SHMEM, .key = "Shmem:"},
    {.metric = METRIC_MEMORY_MAPPED, .key = "Mapped:"},
    {.metric = METRIC_MEMORY_DIRTY, .key = "Dirty:"},
    {.metric = METRIC_MEMORY_WRITEBACK, .key = "Writeback:"},
    {.metric = METRIC_MEMORY_ACTIVE_FILE, .key = "Active(file):"},
    {.metric = METRIC_MEMORY_INACTIVE_FILE, .key = "Inactive(file):"},
    {.metric = METRIC_MEMORY_UNEVICTABLE, .key = "Unevictable:"},
    {.metric = METRIC_MEMORY_SWAP, .key = "SwapTotal:", .less = "SwapFree:"},
};

static const struct host_term vmstat_terms[] = {
    {.metric = METRIC_MEMORY_PAGE_FAULTS, .key = "pgfault"},
    {.metric = METRIC_MEMORY_MAJOR_FAULTS, .key = "pgmajfault"},
    {.metric = METRIC_MEMORY_REFAULTS, .key = "workingset_refault_file"},
    {.metric = METRIC_MEMORY_SCANNED, .key = "pgscan_anon", .plus = {"pgscan_file"}},
    {.metric = METRIC_MEMORY_RECLAIMED, .key = "pgsteal_anon", .plus = {"pgsteal_file"}},
    {.metric = METRIC_MEMORY_OOM_KILLS, .key = "oom_kill"},
};

static const struct host_term cpu_pressure_terms[] = {
    {.metric = METRIC_CPU_PRESSURE_SOME, .key = "some"},
};

static const struct host_term memory_pressure_terms[] = {
    {.metric = METRIC_MEMORY_PRESSURE_SOME, .key = "some"},
    {.metric = METRIC_MEMORY_PRESSURE_FULL, .key = "full"},
};

static const struct host_term io_pressure_terms[] = {
    {.metric = METRIC_IO_PRESSURE_SOME, .key = "some"},
    {.metric = METRIC_IO_PRESSURE_FULL, .key = "full"},
};

#define TERMS(list) .terms = (list), .term_count = ARRAY_LEN(list)
static const struct host_file host_files[] = {
    {.path = "proc/meminfo", .form = METRIC_FORM_FLAT, .factor = 1024, TERMS(meminfo_terms)},
    {.path = "proc/vmstat", .form = METRIC_FORM_FLAT, .factor = 1, TERMS(vmstat_terms)},
    {.path = "proc/pressure/cpu", .form = METRIC_FORM_PSI, .factor = 1, TERMS(cpu_pressure_terms)},
    {.path = "proc/pressure/memory", .form = METRIC_FORM_PSI, .factor = 1, TERMS(memory_pressure_terms)},
    {.path = "proc/pressure/io", .form = METRIC_FORM_PSI, .factor = 1, TERMS(io_pressure_terms)},
};

enum { TERM_WORDS = 4 }; /* keys a term may name */

/* The keys of a file: those of a term stand together. */
struct host_keys {
    struct parse_key items[PARSE_KEYS_MAX];
    uint16_t layout[PARSE_KEYS_MAX + 1];
    unsigned count;
};

struct host_row {
    char root[HOST_ROOT_MAX]; /* ends with '/' */
    struct host_keys keys[ARRAY_LEN(host_files)];
    uint64_t tick_usec; /* of the times in /proc/stat */
    char text[HOST_TEXT_SIZE];
};

/* The names a term uses, NULL for those it does not; the last one is subtracted. */
static void term_words(const struct host_term *term, const char *ret[TERM_WORDS])
{
    ret[0] = term->key;
    ret[1] = term->plus[0];
    ret[2] = term->plus[1];
    ret[3] = term->less;
}

static void keys_make(const struct host_file *file, struct host_keys *ret)
{
    for (unsigned t = 0; t < file->term_count; t++) {
        const char *words[TERM_WORDS];
        term_words(&file->terms[t], words);
        for (unsigned w = 0; w < TERM_WORDS; w++)
            if (words[w])
                ret->items[ret->count++] = (struct parse_key){words[w], strlen(words[w])};
    }
}

struct host_row *host_row_new(const char *proc_root)
{
    struct host_row *h = calloc(1, sizeof *h);
    if (!h || !str_format(h->root, sizeof h->root, "%s/", proc_root))
        return host_row_free(h);
    for (size_t i = 0; i < ARRAY_LEN(host_files); i++)
        keys_make(&host_files[i], &h->keys[i]);
    h->tick_usec = USEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
    return h;
}

struct host_row *host_row_free(struct host_row *h)
{
    free(h);
    return NULL;
}

/* Bytes or -errno. A text that does not fit is cut: what is wanted of /proc/stat stands at its beginning. */
static ssize_t text_read(struct host_row *h, const char *path)
{
    char full[HOST_ROOT_MAX + 64];
    if (!str_format(full, sizeof full, "%s%s", h->root, path))
        return -ENAMETOOLONG;
    CLEANUP_FD int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = fs_pread(fd, h->text, sizeof h->text);
    return n == -E2BIG ? (ssize_t)sizeof h->text - 1 : n;
}

/* The value of a term whose words are values[*at ..]; moves *at behind them. False when one of them was not
 * found. */
static bool term_value(const struct host_term *term, const uint64_t *values, uint64_t found, unsigned *at,
                       uint64_t *ret)
{
    const char *words[TERM_WORDS];
    uint64_t plus = 0, less = 0;
    bool all = true;
    term_words(term, words);
    for (unsigned w = 0; w < TERM_WORDS; w++) {
        if (!words[w])
            continue;
        all = all && ((found >> *at) & 1);
        *(w == TERM_WORDS - 1 ? &less : &plus) += all ? values[*at] : 0;
        (*at)++;
    }
    *ret = plus > less ? plus - less : 0;
    return all;
}

static void file_take(struct host_row *h, size_t index, struct row *row)
{
    const struct host_file *file = &host_files[index];
    const struct parse_keys keys = {.items = h->keys[index].items, .count = h->keys[index].count};
    uint64_t values[PARSE_KEYS_MAX], value;
    ssize_t n = text_read(h, file->path);
    if (n <= 0)
        return;
    uint64_t found = parse_text(file->form, h->text, (size_t)n, &keys, h->keys[index].layout, values);
    unsigned at = 0;
    for (unsigned t = 0; t < file->term_count; t++)
        if (term_value(&file->terms[t], values, found, &at, &value))
            row_set(row, file->terms[t].metric, value * file->factor);
}

/* "cpu  user nice system idle iowait irq softirq steal guest guest_nice": user contains guest; idle, iowait
   and steal are not time that this host's tasks used. Then one line per core. */
static int stat_take(struct host_row *h, struct row *row)
{
    ssize_t n = text_read(h, "proc/stat");
    if (n < 0)
        return (int)n;
    uint64_t user, nice, system, irq, softirq;
    if (sscanf(h->text, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64 " %" SCNu64, &user, &nice,
               &system, &irq, &softirq) != 5)
        return -EBADMSG;
    row_set(row, METRIC_CPU_USER, (user + nice) * h->tick_usec);
    row_set(row, METRIC_CPU_SYSTEM, (system + irq + softirq) * h->tick_usec);
    row_set(row, METRIC_CPU_USAGE, (user + nice + system + irq + softirq) * h->tick_usec);
    uint64_t cores = 0;
    for (const char *at = strchr(h->text, '\n'); at && str_starts(at + 1, "cpu"); at = strchr(at + 1, '\n'))
        cores++;
    if (cores)
        row_set(row, METRIC_CPU_LIMIT, cores * CORE_PPM);
    return 0;
}

/* "0.10 0.20 0.16 2/93 10802": 93 tasks. */
static void loadavg_take(struct host_row *h, struct row *row)
{
    uint64_t tasks;
    if (text_read(h, "proc/loadavg") > 0 && sscanf(h->text, "%*s %*s %*s %*u/%" SCNu64, &tasks) == 1)
        row_set(row, METRIC_PIDS, tasks);
}

/* "254 0 vda READS merged SECTORS ms WRITES merged SECTORS ms …", a sector being 512 bytes whatever the
 * disk's is. */
static void diskstats_take(struct host_row *h, struct block *block, struct row *row)
{
    struct {
        uint64_t reads, read_sectors, writes, written_sectors;
    } sum = {0}, disk;
    uint32_t major, minor;
    bool any = false;
    if (text_read(h, "proc/diskstats") <= 0)
        return;
    for (char *save = NULL, *line = strtok_r(h->text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        if (sscanf(
                line, "%" SCNu32 " %" SCNu32 " %*s %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64,
                &major, &minor, &disk.reads, &disk.read_sectors, &disk.writes, &disk.written_sectors) != 6 ||
            !block_is_disk(block, major, minor))
            continue;
        any = true;
        sum.reads += disk.reads;
        sum.read_sectors += disk.read_sectors;
        sum.writes += disk.writes;
        sum.written_sectors += disk.written_sectors;
    }
    if (!any)
        return;
    row_set(row, METRIC_IO_READS, sum.reads);
    row_set(row, METRIC_IO_WRITES, sum.writes);
    row_set(row, METRIC_IO_READ_BYTES, sum.read_sectors * SECTOR_BYTES);
    row_set(row, METRIC_IO_WRITE_BYTES, sum.written_sectors * SECTOR_BYTES);
}

int host_row_read(struct host_row *h, struct block *block, struct row *row)
{
    int error = stat_take(h, row);
    if (error)
        return error;
    loadavg_take(h, row);
    diskstats_take(h, block, row);
    for (size_t i = 0; i < ARRAY_LEN(host_files); i++)
        file_take(h, i, row);
    return 0;
}
