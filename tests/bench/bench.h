#pragma once
/* What the benchmarks share: the clock that counts, the middle of several figures, sleepers that can be made
   to move, order on leaving. */

#include <ftw.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* CPU time of this process: the machine may be shared. */
static inline uint64_t bench_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * UINT64_C(1000000000) + (uint64_t)used.tv_nsec;
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the figures; then figures[count * 99 / 100] is the 99th of a hundred. */
static inline void bench_sort(double *figures, unsigned count)
{
    qsort(figures, count, sizeof *figures, bench_by_value);
}

static inline double bench_median(double *figures, unsigned count)
{
    bench_sort(figures, count);
    return figures[count / 2];
}

static inline void bench_on_poke(int number)
{
    (void)number;
    for (volatile unsigned i = 0; i < 2000; i++)
        ;
}

/* Before sleepers are forked: a poke costs them some microseconds of CPU and not their life. */
static inline void bench_pokable(void)
{
    signal(SIGUSR1, bench_on_poke);
}

/* Every group has moved when they have all run. */
static inline void bench_poke(const pid_t *sleepers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (sleepers[i] > 0)
            kill(sleepers[i], SIGUSR1);
}

static inline int bench_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void bench_remove_dir(const char *path)
{
    nftw(path, bench_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
