#pragma once
/*
 * For tests on the running kernel, whatever its layout: the host, one group of the test's own in every
 * hierarchy, processes to put there. A test that this host cannot run is skipped with its reason.
 */

#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "cgroup/host.h"
#include "cgroup/subtree.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SKIP(...)                                                                                            \
    do {                                                                                                     \
        print_message("skipped: " __VA_ARGS__);                                                              \
        print_message("\n");                                                                                 \
        skip();                                                                                              \
    } while (0)

struct kernel {
    struct cgroup_host host;
    char top[64]; /* "/masu-test-cg-NAME-PID", made in every hierarchy */
};

/* Path below the test's own group; borrowed until the eighth call after. */
static inline const char *kernel_path(const struct kernel *k, const char *below)
{
    static char texts[8][GROUP_PATH_MAX];
    static unsigned next;
    char *text = texts[next++ % 8];
    assert_true(str_format(text, GROUP_PATH_MAX, "%s%s", k->top, below));
    return text;
}

/* Makes the group in every hierarchy that has its parent. */
static inline void kernel_make(const struct kernel *k, const char *path)
{
    uint64_t id;
    for (unsigned i = 0; i < k->host.count; i++)
        assert_int_equal(group_make(&k->host, i, path, &id), GROUP_OK);
}

static inline void kernel_remove_below(const struct hierarchy *h, const char *path)
{
    int fd = openat(h->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char child[PATH_MAX];
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            str_format(child, sizeof child, "%s/%s", path, entry->d_name))
            kernel_remove_below(h, child);
    }
    closedir(dir);
    /* a process just killed may take a moment to leave */
    for (int tries = 0; tries < 2000 && unlinkat(h->dirfd, path, AT_REMOVEDIR) < 0 && errno == EBUSY; tries++)
        usleep(1000);
}

static inline void kernel_close(struct kernel *k)
{
    for (unsigned i = 0; i < k->host.count; i++)
        kernel_remove_below(&k->host.hierarchies[i], cgroup_below(k->top));
    cgroup_host_close(&k->host);
    free(k);
}

/* NULL, with the reason printed, when this process cannot work with cgroups. */
static inline struct kernel *kernel_open(const char *name)
{
    struct kernel *k = calloc(1, sizeof *k);
    assert_non_null(k);
    int r = geteuid() == 0 ? cgroup_host_open("", &k->host) : -EPERM;
    uint64_t id;
    str_format(k->top, sizeof k->top, "/masu-test-cg-%s-%d", name, getpid());
    for (unsigned i = 0; r == 0 && i < k->host.count; i++)
        r = group_make(&k->host, i, k->top, &id);
    if (r == 0)
        return k;
    print_message("this process cannot make cgroups here: %s\n", strerror(r < 0 ? -r : EIO));
    kernel_close(k);
    return NULL;
}

/* On v2, hands @controller down from the root to @path's children. Skips when the host will not. */
static inline void kernel_hand_down(const struct kernel *k, const char *controller, const char *path)
{
    int index = cgroup_host_find(&k->host, controller);
    if (index < 0)
        SKIP("no %s controller on this host", controller);
    if (k->host.hierarchies[index].version == 1)
        return;
    char at[GROUP_PATH_MAX];
    for (size_t len = 0; len <= strlen(path); len++) {
        if (len > 0 && path[len] != '/' && path[len] != '\0')
            continue;
        str_format(at, sizeof at, "%.*s", len ? (int)len : 1, path);
        int r = subtree_enable(&k->host, (unsigned)index, at, controller);
        if (r != 0)
            SKIP("%s cannot be enabled below %s: %d", controller, at, r);
    }
}

/* A child that waits to be told, then runs @work and exits with its result. */
struct worker {
    pid_t pid;
    int go; /* write end */
};

static inline struct worker worker_start(int (*work)(void))
{
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    struct worker w = {.pid = fork(), .go = pipe_fds[1]};
    assert_true(w.pid >= 0);
    if (w.pid == 0) {
        char byte;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pipe_fds[1]);
        bool told = read(pipe_fds[0], &byte, 1) == 1;
        _exit(told && work ? work() : 0);
    }
    close(pipe_fds[0]);
    return w;
}

static inline void worker_go(struct worker *w)
{
    assert_int_equal(write(w->go, "x", 1), 1);
}

/* The wait status. */
static inline int worker_end(struct worker *w)
{
    int status = 0;
    fd_close(w->go);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    return status;
}
