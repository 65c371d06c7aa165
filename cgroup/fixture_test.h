#pragma once
/* A host made of plain directories, for tests without a kernel's cgroups: two hierarchies, "one" (v1) and
 * "two" (v2). */

#include "base/fs.h"
#include "base/str.h"
#include "cgroup/host.h"
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct fixture {
    char root[32];
    struct cgroup_host host;
};

static inline void fixture_put(const struct fixture *f, const char *path, const char *text)
{
    char full[PATH_MAX], dir[PATH_MAX];
    assert_true(str_format(full, sizeof full, "%s%s", f->root, path));
    str_copy(dir, sizeof dir, full);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(fs_make_dirs(dir, 0755), 0);
    FILE *file = fopen(full, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void fixture_dir(const struct fixture *f, const char *path)
{
    char full[PATH_MAX];
    assert_true(str_format(full, sizeof full, "%s%s", f->root, path));
    assert_int_equal(fs_make_dirs(full, 0755), 0);
}

static inline int fixture_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline void fixture_remove(const struct fixture *f, const char *path)
{
    char full[PATH_MAX];
    assert_true(str_format(full, sizeof full, "%s%s", f->root, path));
    nftw(full, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct fixture *fixture_open(const char *controllers_one, const char *controllers_two)
{
    struct fixture *f = calloc(1, sizeof *f);
    char text[512];
    assert_non_null(f);
    strcpy(f->root, "/tmp/masu-test-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    str_format(text, sizeof text,
               "30 1 0:30 / /one rw - cgroup cgroup rw,%s\n"
               "31 1 0:31 / /two rw - cgroup2 cgroup2 rw\n",
               controllers_one);
    fixture_put(f, "/proc/self/mountinfo", text);
    fixture_put(f, "/one/cgroup.procs", "");
    fixture_put(f, "/two/cgroup.controllers", controllers_two);
    assert_int_equal(cgroup_host_open(f->root, &f->host), 0);
    assert_int_equal(f->host.count, 2);
    return f;
}

static inline void fixture_close(struct fixture *f)
{
    cgroup_host_close(&f->host);
    fixture_remove(f, "");
    free(f);
}
