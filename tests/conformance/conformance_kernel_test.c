/*
 * The kernel keeps every case of the list, on whatever hierarchies this host has: cases of the other version
 * are counted and left out. Works in groups of its own below /masu-test-planner.
 */

#include "base/fs.h"
#include "base/str.h"
#include "cgroup/host.h"
#include "tests/conformance/conformance.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE "masu-test-planner-kernel"

static struct cgroup_host host;

/* "MAJ:MIN" of some whole disk, "" when there is none. */
static void find_disk(char *buf, size_t size)
{
    buf[0] = '\0';
    DIR *dir = opendir("/sys/block");
    for (struct dirent *entry; dir && !buf[0] && (entry = readdir(dir));) {
        char path[300];
        snprintf(path, sizeof path, "/sys/block/%s/dev", entry->d_name);
        if (entry->d_name[0] != '.' && fs_read_at(AT_FDCWD, path, buf, size) > 0)
            buf[strcspn(buf, "\n")] = '\0';
    }
    if (dir)
        closedir(dir);
}

/* The hierarchy in which the case's file lives, or NULL. */
static const struct hierarchy *hierarchy_of(const struct conformance_case *c)
{
    char controller[32];
    (void)str_copy(controller, sizeof controller, c->request.file);
    controller[strcspn(controller, ".")] = '\0';
    const char *name = strcmp(controller, "cgroup") == 0 ? "memory" : controller;
    int index = cgroup_host_find(&host, name);
    return index >= 0 && host.hierarchies[index].version == c->version ? &host.hierarchies[index] : NULL;
}

static int put(const struct hierarchy *h, const struct conformance_write *write, const char *disk)
{
    char path[256], text[128];
    snprintf(path, sizeof path, BASE "/%s/%s", write->group, write->file);
    conformance_text(write->text, disk, text, sizeof text);
    return fs_write_at(h->dirfd, path, text, strlen(text));
}

static void enable_all(const struct hierarchy *h, const char *path)
{
    static const char *const controllers[] = {"+cpu", "+io", "+memory", "+pids"};
    char file[256];
    snprintf(file, sizeof file, "%s/cgroup.subtree_control", path);
    for (unsigned c = 0; c < ARRAY_LEN(controllers); c++)
        (void)!fs_write_at(h->dirfd, file, controllers[c], strlen(controllers[c]));
}

/* A process in @group that holds @bytes. */
static pid_t hold(const struct hierarchy *h, const char *group, uint64_t bytes)
{
    int ready[2];
    char path[256], done;
    snprintf(path, sizeof path, BASE "/%s/cgroup.procs", group);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || fs_write_at(h->dirfd, path, "0", 1) != 0)
            _exit(1);
        memset(memory, 1, bytes);
        (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &done, 1), 1);
    close(ready[0]);
    return pid;
}

static void let_go(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static const char *const groups[] = {BASE, BASE "/a", BASE "/a/b"};

static void remove_groups(const struct hierarchy *h)
{
    for (unsigned i = ARRAY_LEN(groups); i-- > 0;)
        for (unsigned tries = 0;
             unlinkat(h->dirfd, groups[i], AT_REMOVEDIR) != 0 && errno == EBUSY && tries < 100; tries++)
            usleep(10000);
}

static void compare(const struct conformance_case *c, const struct hierarchy *h, const char *disk)
{
    char path[256], text[4096], wanted[256];
    snprintf(path, sizeof path, BASE "/%s/%s", c->request.group, c->request.file);
    ssize_t len = fs_read_at(h->dirfd, path, text, sizeof text);
    assert_true(len >= 0);
    if (len && text[len - 1] == '\n')
        text[len - 1] = '\0';
    conformance_text(c->reads, disk, wanted, sizeof wanted);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s: reads '%s' instead of '%s'", c->name, text, wanted);
}

/* False when this host has no place for the case. */
static bool run_case(const struct conformance_case *c, const char *disk)
{
    const struct hierarchy *h = hierarchy_of(c);
    char file[256];
    if (!h || (!disk[0] && strstr(c->request.text, "DEV")))
        return false;
    remove_groups(h);
    if (h->version == 2)
        enable_all(h, ".");
    for (unsigned i = 0; i < ARRAY_LEN(groups); i++) {
        assert_int_equal(mkdirat(h->dirfd, groups[i], 0755), 0);
        if (h->version == 2 && i + 1 < ARRAY_LEN(groups))
            enable_all(h, groups[i]);
    }
    snprintf(file, sizeof file, BASE "/%s/%s", c->request.group, c->request.file);
    if (!fs_exists_at(h->dirfd, file)) {
        remove_groups(h);
        return false;
    }
    for (unsigned i = 0; i < CONFORMANCE_BEFORE_MAX && c->before[i].group; i++)
        assert_int_equal(put(h, &c->before[i], disk), 0);
    pid_t pid = c->held_bytes ? hold(h, c->request.group, c->held_bytes) : 0;
    int r = put(h, &c->request, disk);
    if (r != -c->error)
        fail_msg("%s: errno %d instead of %d", c->name, -r, c->error);
    if (c->reads)
        compare(c, h, disk);
    let_go(pid);
    remove_groups(h);
    return true;
}

static void the_kernel_answers_every_case_as_the_list_says(void **state)
{
    (void)state;
    char disk[32];
    unsigned ran = 0;
    find_disk(disk, sizeof disk);
    if (geteuid() != 0 || cgroup_host_open("", &host) != 0) {
        print_message("skipped: needs root and a mounted cgroup hierarchy\n");
        skip();
    }
    for (unsigned i = 0; i < conformance_count; i++)
        ran += run_case(&conformance_cases[i], disk);
    cgroup_host_close(&host);
    print_message("%u of %u cases have a place on this host\n", ran, conformance_count);
    assert_true(ran > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_answers_every_case_as_the_list_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
