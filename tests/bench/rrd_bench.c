/*
 * What the books cost per container and second: the journal alone, the journal with decoding and folding, and
 * all of it with the archive's files written as masu writes them; beside it librrd alone, in batches and
 * point by point. Usage: rrd_bench [CONTAINERS [SECONDS]]; any user. CPU time; frames are made before the
 * clock starts.
 */

#include "base/clock.h"
#include "base/str.h"
#include "exporters/archive.h"
#include "exporters/journal.h"
#include "exporters/rrd_file.h"
#include "tests/bench/bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    CONTAINERS_DEFAULT = 100,
    SECONDS_DEFAULT = 600,
    STEP_S = 10,
    NOON_S = 1795000000,
    LIFE = 1,
    FLUSH_S = 300
};

struct bench {
    unsigned containers, seconds;
    char root[64];
    struct buf *ticks; /* the frames of each second */
    uint64_t bytes;
};

static void die(const char *what, int error)
{
    (void)fprintf(stderr, "rrd_bench: %s: %s\n", what, strerror(-error));
    exit(1);
}

/* A container at work: half of its counters move every second. */
static void next_row(struct row *row, unsigned second, unsigned container)
{
    row->wall_ns = (NOON_S + second) * NSEC_PER_SEC;
    row->mono_ns = (1000 + second) * NSEC_PER_SEC + container * 1000;
    for (unsigned id = 0; id < METRIC_N; id++) {
        uint64_t growth = (id + container) % 2 ? 1000 + (uint64_t)rand() % 100000 : 0;
        row_set(row, (enum metric_id)id,
                row->values[id] + (metrics[id].kind == METRIC_COUNTER || second % 10 == 0 ? growth : 0));
    }
}

static void make_ticks(struct bench *bench)
{
    struct row *rows = calloc(bench->containers, sizeof *rows);
    uint64_t sequence = 1;

    bench->ticks = calloc(bench->seconds, sizeof *bench->ticks);
    if (!rows || !bench->ticks)
        die("frames", -ENOMEM);
    for (unsigned second = 0; second < bench->seconds; second++)
        for (unsigned i = 0; i < bench->containers; i++) {
            struct frame_born born = {
                .slot = i, .wall_ns = NOON_S * NSEC_PER_SEC, .identity = {.runtime = "lxc"}};
            struct row before = rows[i];
            str_format(born.identity.path, sizeof born.identity.path, "/lxc/c%u", i);
            str_format(born.identity.name, sizeof born.identity.name, "c%u", i);
            next_row(&rows[i], second, i);
            if (second == 0)
                frame_put_born(&bench->ticks[0], sequence++, &born);
            if (second % 60 == 0)
                frame_put_keyframe(&bench->ticks[second], sequence++, i, &rows[i]);
            else
                frame_put_delta(&bench->ticks[second], sequence++, i, &before, &rows[i]);
        }
    for (unsigned second = 0; second < bench->seconds; second++)
        bench->bytes += bench->ticks[second].len;
    free(rows);
}

static double per_container_second(const struct bench *bench, uint64_t ns)
{
    return (double)ns / 1000.0 / bench->containers / bench->seconds;
}

static uint64_t journal_alone(const struct bench *bench)
{
    char dir[ARCHIVE_PATH_MAX];
    struct journal_options options = {.dir = dir, .max_bytes = UINT64_C(1) << 30, .sync_ns = NSEC_PER_SEC};
    struct journal_segment segment = {.life = LIFE};
    struct buf none = BUF_NULL;
    struct journal *journal;

    str_format(dir, sizeof dir, "%s/alone", bench->root);
    int r = journal_open(&options, &journal);
    if (r < 0)
        die(dir, r);
    uint64_t start = bench_cpu_ns();
    for (unsigned second = 0; r == 0 && second < bench->seconds; second++) {
        if (journal_wants_segment(journal, LIFE))
            r = journal_start_segment(journal, &segment, &none);
        if (r == 0)
            r = journal_append(journal, &bench->ticks[second]);
    }
    if (r < 0)
        die(dir, r);
    uint64_t used = bench_cpu_ns() - start;
    journal_close(journal);
    return used;
}

/* The archive, with files made after @after_s; *ret_stats as it ends. */
static uint64_t archive_run(const struct bench *bench, const char *name, unsigned after_s,
                            struct archive_stats *ret_stats)
{
    char dir[ARCHIVE_PATH_MAX];
    struct archive_options options = {.state_dir = dir,
                                      .step_ns = STEP_S * NSEC_PER_SEC,
                                      .after_ns = after_s * NSEC_PER_SEC,
                                      .flush_ns = FLUSH_S * NSEC_PER_SEC,
                                      .interval_ns = NSEC_PER_SEC,
                                      .max_bytes = UINT64_C(1) << 40,
                                      .journal_max_bytes = UINT64_C(1) << 30};
    struct archive *archive;

    str_format(dir, sizeof dir, "%s/%s", bench->root, name);
    int r = archive_open(&options, &archive);
    if (r < 0)
        die(dir, r);
    uint64_t start = bench_cpu_ns();
    for (unsigned second = 0; second < bench->seconds; second++) {
        archive_take(archive, LIFE, &bench->ticks[second]);
        archive_tick(archive, (1000 + second) * NSEC_PER_SEC, (NOON_S + second) * NSEC_PER_SEC);
    }
    archive_flush_all(archive, UINT64_MAX);
    uint64_t used = bench_cpu_ns() - start;
    char trouble[ARCHIVE_TEXT_MAX];
    if (archive_trouble(archive, trouble))
        (void)fprintf(stderr, "rrd_bench: %s\n", trouble);
    *ret_stats = archive_stats(archive);
    archive_close(archive);
    return used;
}

/* librrd alone: both files of each container, @batch points a call. Makes the files when @make_ns is wanted.
 */
static uint64_t rrd_alone(const struct bench *bench, unsigned batch, unsigned from, uint64_t *make_ns)
{
    unsigned points = bench->seconds / STEP_S;
    char dir[ARCHIVE_PATH_MAX], key[32], path[RRD_PATH_MAX], why[RRD_WHY_MAX];
    struct buf texts = BUF_NULL;
    uint64_t used = 0;

    str_format(dir, sizeof dir, "%s/rrd", bench->root);
    for (unsigned i = 0; i < bench->containers; i++)
        for (int kind = 0; kind < FOLD_KINDS; kind++) {
            int64_t last_s;
            uint64_t start = bench_cpu_ns();
            str_format(key, sizeof key, "lxc:c%u", i);
            if (!rrd_file_path(dir, key, kind, path) ||
                rrd_file_prepare(path, kind, STEP_S, NOON_S, &last_s, why))
                die(why, -EIO);
            *make_ns += bench_cpu_ns() - start;
            for (unsigned done = 0; done < points; done += batch) {
                buf_clear(&texts);
                for (unsigned p = 0; p < batch; p++) {
                    struct fold_point point = {.end_s = NOON_S + (int64_t)(from + done + p + 1) * STEP_S};
                    for (unsigned id = 0; id < METRIC_N; id++)
                        point.average[id] = point.peak[id] = rand() % 1000000 / 7.0;
                    rrd_file_encode(&point, kind, &texts);
                }
                start = bench_cpu_ns();
                if (rrd_file_update(path, texts.data, batch, why))
                    die(why, -EIO);
                used += bench_cpu_ns() - start;
            }
        }
    buf_fini(&texts);
    return used;
}

static void run(struct bench *bench)
{
    struct archive_stats stats;
    uint64_t make_ns = 0, ignored = 0;
    unsigned batch = FLUSH_S / STEP_S;

    printf("%u containers, %u s, %u metrics, %u columns of averages and %u of peaks, step %u s\n",
           bench->containers, bench->seconds, (unsigned)METRIC_N, fold_columns(FOLD_AVERAGE)->count,
           fold_columns(FOLD_PEAK)->count, (unsigned)STEP_S);
    printf("frames                            %8.1f bytes per container and second\n",
           (double)bench->bytes / bench->containers / bench->seconds);
    printf("journal alone                     %8.3f us per container and second\n",
           per_container_second(bench, journal_alone(bench)));
    printf("journal, decoding, folding        %8.3f us\n",
           per_container_second(bench, archive_run(bench, "folded", 2 * bench->seconds, &stats)));
    printf("the same and the files            %8.3f us",
           per_container_second(bench, archive_run(bench, "filed", 180, &stats)));
    printf("   (%llu writes, the making of %llu subjects' files included)\n",
           (unsigned long long)stats.updates, (unsigned long long)stats.files_made);
    uint64_t batched = rrd_alone(bench, batch, 0, &make_ns);
    printf("librrd alone, %2u points a call    %8.3f us\n", batch, per_container_second(bench, batched));
    printf("librrd alone, 1 point a call      %8.3f us\n",
           per_container_second(bench, rrd_alone(bench, 1, bench->seconds / STEP_S, &ignored)));
    printf("making a container's two files    %8.3f ms\n", (double)make_ns / 1e6 / bench->containers);
}

int main(int argc, char **argv)
{
    struct bench bench = {.containers = argc > 1 ? (unsigned)atoi(argv[1]) : CONTAINERS_DEFAULT,
                          .seconds = argc > 2 ? (unsigned)atoi(argv[2]) : SECONDS_DEFAULT};

    if (bench.containers == 0 || bench.seconds < FLUSH_S || bench.seconds % FLUSH_S) {
        (void)fprintf(stderr, "usage: rrd_bench [CONTAINERS [SECONDS, a multiple of %u]]\n",
                      (unsigned)FLUSH_S);
        return 64;
    }
    str_format(bench.root, sizeof bench.root, "/tmp/masu-rrd-bench-XXXXXX");
    if (!mkdtemp(bench.root)) {
        perror(bench.root);
        return 1;
    }
    make_ticks(&bench);
    run(&bench);
    for (unsigned second = 0; second < bench.seconds; second++)
        buf_fini(&bench.ticks[second]);
    free(bench.ticks);
    bench_remove_dir(bench.root);
    return 0;
}
