/* More news than can be read: groups that come and go, and limits that are written, as fast as the kernel
 * lets them. Samples go on, the API answers, and what comes after is held. */

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "tests/system/harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] = "quotas:\n"
                             "  web: { match: { path: \"%s/web*\" }, cpu: { bandwidth: 0.2 } }\n";

static long cpu_quota(struct daemon *d, const char *path)
{
    char text[64];
    group_file(d, path, version_of(d, "cpu") == 2 ? "cpu.max" : "cpu.cfs_quota_us", text, sizeof text);
    return strncmp(text, "max", 3) == 0 ? -1 : strtol(text, NULL, 10);
}

struct held {
    struct daemon *d;
    const char *path;
};

static bool is_held(void *argument)
{
    struct held *h = argument;
    return cpu_quota(h->d, h->path) == 20000;
}

/* Groups that are made and removed without a pause, each under a new name, so that the kernel merges no news.
 */
static pid_t churn(struct daemon *d, unsigned number)
{
    char path[GROUP_PATH_MAX + CGROUP_MOUNT_MAX];
    int h = cgroup_host_find(&d->host, "cpu");
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0;; i++) {
        str_format(path, sizeof path, "%s%s/web-storm%u-%u", d->host.hierarchies[h].mount, d->root, number,
                   i);
        (void)mkdir(path, 0755);
        (void)rmdir(path);
    }
}

/* A weight that changes without a pause. */
static pid_t scribble(struct daemon *d, const char *path)
{
    bool v2 = version_of(d, "cpu") == 2;
    pid_t pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0;; i++)
        group_write(d, path, v2 ? "cpu.weight" : "cpu.shares", i % 2 ? "200" : "300");
}

struct progress {
    struct daemon *d;
    double since;
    unsigned samples;
};

/* Ten samples of the host, one after the other. */
static bool ten_more_samples(void *argument)
{
    struct progress *p = argument;
    double now = host_sample(p->d);
    if (now > p->since)
        p->samples++;
    p->since = now > p->since ? now : p->since;
    return p->samples >= 10;
}

static void storm_starves_nobody(void **state)
{
    struct daemon *d = *state;
    char path[GROUP_PATH_MAX], scribbled[GROUP_PATH_MAX];
    make_group(d, "scribbled", scribbled);
    pid_t storm[] = {churn(d, 0), churn(d, 1), scribble(d, scribbled)};
    struct progress p = {d, host_sample(d), 0};
    assert_true(wait_until(ten_more_samples, &p, 60));
    make_group(d, "web", path);
    struct held web = {d, path};
    assert_true(wait_until(is_held, &web, 10));
    for (size_t i = 0; i < ARRAY_LEN(storm); i++)
        end_child(storm[i]);
    assert_true(wait_until(is_held, &web, 10));
    remove_group(d, path);
    remove_group(d, scribbled);
}

static int start(void **state)
{
    static struct daemon d;
    daemon_init(&d, "storm", policy, NULL);
    daemon_start(&d);
    *state = &d;
    return 0;
}

static int stop(void **state)
{
    daemon_fini(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(storm_starves_nobody)};
    return cmocka_run_group_tests_name("storm", tests, start, stop);
}
