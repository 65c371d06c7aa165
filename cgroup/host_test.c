#include "base/fs.h"
#include "base/str.h"
#include "cgroup/host.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct cgroup_host open_fixture(const char *name)
{
    char root[CGROUP_MOUNT_MAX];
    struct cgroup_host host;
    assert_true(str_format(root, sizeof root, MASU_SOURCE_DIR "/tests/fixtures/mounts/%s", name));
    assert_int_equal(cgroup_host_open(root, &host), 0);
    return host;
}

static const struct hierarchy *holder(const struct cgroup_host *host, const char *controller)
{
    int index = cgroup_host_find(host, controller);
    return index < 0 ? NULL : &host->hierarchies[index];
}

static void assert_mounted_at(const struct hierarchy *h, const char *point)
{
    assert_non_null(h);
    assert_true(str_ends(h->mount, point));
}

static void cgroup2_alone_is_unified(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("unified");
    assert_string_equal(cgroup_mode_name(host.mode), "unified");
    assert_int_equal(host.count, 1);
    assert_int_equal(host.hierarchies[0].version, 2);
    assert_string_equal(host.hierarchies[0].controllers, "cpuset,cpu,io,memory,hugetlb,pids,rdma,misc");
    assert_int_equal(cgroup_host_find(&host, "io"), 0);
    assert_int_equal(cgroup_host_find(&host, "blkio"), -1);
    assert_int_equal(cgroup_host_find(&host, ""), 0);
    cgroup_host_close(&host);
}

static void v1_without_resource_controllers_beside_cgroup2_is_still_unified(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("unified-beside");
    assert_string_equal(cgroup_mode_name(host.mode), "unified");
    assert_int_equal(host.count, 3);
    assert_mounted_at(holder(&host, "net_prio"), "/run/net_prio");
    assert_string_equal(host.hierarchies[2].name, "elogind");
    assert_string_equal(host.hierarchies[2].controllers, "");
    cgroup_host_close(&host);
}

static void v1_controllers_and_cgroup2_are_hybrid(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("hybrid");
    assert_string_equal(cgroup_mode_name(host.mode), "hybrid");
    assert_int_equal(host.count, 12);
    assert_mounted_at(holder(&host, "blkio"), "/sys/fs/cgroup/blkio");
    assert_mounted_at(holder(&host, "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct");
    assert_mounted_at(holder(&host, ""), "/sys/fs/cgroup/unified");
    assert_int_equal(cgroup_host_find(&host, "io"), -1);
    const struct hierarchy *systemd = &host.hierarchies[1];
    assert_string_equal(systemd->name, "systemd");
    assert_string_equal(systemd->controllers, "");
    assert_int_equal(cgroup_host_by_device(&host, systemd->device), 1);
    assert_int_equal(cgroup_host_by_device(&host, 4711), -1);
    cgroup_host_close(&host);
}

static void v1_alone_is_legacy(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("legacy");
    assert_string_equal(cgroup_mode_name(host.mode), "legacy");
    assert_int_equal(cgroup_host_find(&host, ""), -1);
    assert_false(holder(&host, "memory")->throttle_nests);
    cgroup_host_close(&host);
}

static void sane_behavior_of_3_10_throttles_per_group(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("sane-3.10");
    assert_string_equal(cgroup_mode_name(host.mode), "sane");
    const struct hierarchy *blkio = holder(&host, "blkio");
    assert_true(blkio->sane);
    assert_int_equal(blkio->version, 1);
    assert_false(blkio->throttle_nests);
    assert_string_equal(blkio->controllers, "blkio");
    cgroup_host_close(&host);
}

static void sane_behavior_of_3_13_throttles_subtrees(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("sane-3.13");
    assert_string_equal(cgroup_mode_name(host.mode), "sane");
    assert_int_equal(host.count, 1);
    assert_true(holder(&host, "blkio")->throttle_nests);
    assert_ptr_equal(holder(&host, "memory"), holder(&host, "hugetlb"));
    cgroup_host_close(&host);
}

static void put_file(const char *root, const char *name, const char *text)
{
    char path[PATH_MAX], dir[PATH_MAX];
    assert_true(str_format(path, sizeof path, "%s/%s", root, name));
    str_copy(dir, sizeof dir, path);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(fs_make_dirs(dir, 0755), 0);
    assert_int_equal(fs_replace_at(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

static enum cgroup_mode mode_of(const char *root, bool *ret_nests)
{
    struct cgroup_host host;
    assert_int_equal(cgroup_host_open(root, &host), 0);
    assert_int_equal(host.count, 1);
    enum cgroup_mode mode = host.mode;
    *ret_nests = host.hierarchies[0].throttle_nests;
    cgroup_host_close(&host);
    return mode;
}

static int remove_entry(const char *path, const struct stat *st UNUSED, int type UNUSED,
                        struct FTW *ftw UNUSED)
{
    return remove(path);
}

/* Whatever the mount was asked for: what the root's files say is what holds. */
static void sane_is_selected_by_the_files_alone(void **state)
{
    (void)state;
    char root[] = "/tmp/masu-host-test-XXXXXX";
    bool nests;
    assert_non_null(mkdtemp(root));
    put_file(root, "proc/self/mountinfo",
             "30 25 0:26 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,__DEVEL__sane_behavior,blkio\n");
    put_file(root, "sys/fs/cgroup/blkio/cgroup.sane_behavior", "0\n");
    assert_int_equal(mode_of(root, &nests), CGROUP_LEGACY);
    put_file(root, "sys/fs/cgroup/blkio/cgroup.sane_behavior", "1\n");
    assert_int_equal(mode_of(root, &nests), CGROUP_SANE);
    assert_true(nests);
    put_file(root, "sys/fs/cgroup/blkio/tasks", "");
    assert_int_equal(mode_of(root, &nests), CGROUP_SANE);
    assert_false(nests);
    put_file(root, "sys/fs/cgroup/blkio/cgroup.controllers", "io\n");
    assert_int_equal(mode_of(root, &nests), CGROUP_UNIFIED);
    assert_int_equal(nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void the_unified_hierarchy_of_4_4_is_known_by_its_files(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("unified-4.4");
    assert_string_equal(cgroup_mode_name(host.mode), "unified");
    assert_int_equal(holder(&host, "io")->version, 2);
    cgroup_host_close(&host);
}

static void comounted_controllers_share_one_hierarchy(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("comounted");
    assert_int_equal(host.count, 3);
    assert_ptr_equal(holder(&host, "cpu"), holder(&host, "cpuacct"));
    assert_string_equal(holder(&host, "memory")->controllers, "memory");
    cgroup_host_close(&host);
}

static void bind_and_second_mounts_are_skipped(void **state)
{
    (void)state;
    struct cgroup_host host = open_fixture("bind-mounts");
    assert_int_equal(host.count, 3);
    assert_mounted_at(holder(&host, "memory"), "bind-mounts/sys/fs/cgroup/memory");
    assert_mounted_at(holder(&host, "pids"), "/srv/two words/pids");
    assert_mounted_at(holder(&host, ""), "bind-mounts/sys/fs/cgroup/unified");
    cgroup_host_close(&host);
}

static void a_host_without_cgroups_is_told_apart(void **state)
{
    (void)state;
    struct cgroup_host host = CGROUP_HOST_NULL;
    assert_int_equal(cgroup_host_open(MASU_SOURCE_DIR "/tests/fixtures/mounts/none", &host), -ENOENT);
    assert_int_equal(host.count, 0);
}

static void controllers_match_as_whole_words(void **state)
{
    (void)state;
    assert_true(cgroup_has_controller("cpu,cpuacct", "cpuacct"));
    assert_true(cgroup_has_controller("cpu,cpuacct", "cpu"));
    assert_false(cgroup_has_controller("cpuset,cpuacct", "cpu"));
    assert_false(cgroup_has_controller("", "cpu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cgroup2_alone_is_unified),
        cmocka_unit_test(v1_without_resource_controllers_beside_cgroup2_is_still_unified),
        cmocka_unit_test(v1_controllers_and_cgroup2_are_hybrid),
        cmocka_unit_test(v1_alone_is_legacy),
        cmocka_unit_test(sane_behavior_of_3_10_throttles_per_group),
        cmocka_unit_test(sane_behavior_of_3_13_throttles_subtrees),
        cmocka_unit_test(sane_is_selected_by_the_files_alone),
        cmocka_unit_test(the_unified_hierarchy_of_4_4_is_known_by_its_files),
        cmocka_unit_test(comounted_controllers_share_one_hierarchy),
        cmocka_unit_test(bind_and_second_mounts_are_skipped),
        cmocka_unit_test(a_host_without_cgroups_is_told_apart),
        cmocka_unit_test(controllers_match_as_whole_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
