/*
 * Disk rates on a disk of the test's own, a loop device. On v1 a rate holds in each group by itself, so it is
 * pushed down to where the processes are, and refused when that is more than one place.
 */

#include "base/fs.h"
#include "base/str.h"
#include "cgroup/group.h"
#include "tests/system/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

enum { DISK_BYTES = 8 << 20 };

struct bench {
    struct daemon d;
    char image[64], disk[32], device[16]; /* "/dev/loop3", "7:3" */
    int loop_fd;
};

/* ---- the disk ---- */

static bool attach(struct bench *b, int control, int image)
{
    for (int tries = 0; tries < 20; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return false;
        str_format(b->disk, sizeof b->disk, "/dev/loop%d", number);
        b->loop_fd = open(b->disk, O_RDWR | O_CLOEXEC);
        struct stat st;
        if (b->loop_fd >= 0 && ioctl(b->loop_fd, LOOP_SET_FD, image) == 0 && fstat(b->loop_fd, &st) == 0) {
            str_format(b->device, sizeof b->device, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
            return true;
        }
        fd_close(b->loop_fd);
        b->loop_fd = -1;
        usleep(50000); /* somebody else took it */
    }
    return false;
}

static bool disk_open(struct bench *b)
{
    str_format(b->image, sizeof b->image, "/var/tmp/masu-test-disk-%d", (int)getpid());
    CLEANUP_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    (void)unlink(b->image);
    CLEANUP_FD int image = open(b->image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    b->loop_fd = -1;
    return control >= 0 && image >= 0 && ftruncate(image, DISK_BYTES) == 0 && attach(b, control, image);
}

static void disk_close(struct bench *b)
{
    if (b->loop_fd >= 0)
        ioctl(b->loop_fd, LOOP_CLR_FD, 0);
    fd_close(b->loop_fd);
    unlink(b->image);
}

/* ---- what the kernel holds ---- */

/* Whether the group's rates of the disk are 3 MB/s written and 50 reads per second; none: neither. */
static bool has_rates(struct bench *b, const char *path, bool wanted)
{
    char text[4096], write[64], reads[64];
    if (version_of(&b->d, "io") == 2) {
        group_file(&b->d, path, "io.max", text, sizeof text);
        const char *line = strstr(text, b->device);
        bool rates = line && strstr(line, "wbps=3000000") && strstr(line, "riops=50");
        return rates == wanted;
    }
    str_format(write, sizeof write, "%s 3000000", b->device);
    str_format(reads, sizeof reads, "%s 50", b->device);
    group_file(&b->d, path, "blkio.throttle.write_bps_device", text, sizeof text);
    bool writes = strstr(text, write) != NULL;
    group_file(&b->d, path, "blkio.throttle.read_iops_device", text, sizeof text);
    bool both = writes && strstr(text, reads);
    return wanted ? both : !writes;
}

struct rates {
    struct bench *b;
    const char *path;
    bool wanted;
};

static bool rates_are(void *argument)
{
    struct rates *r = argument;
    return has_rates(r->b, r->path, r->wanted);
}

static bool is_refused(void *argument)
{
    struct rates *r = argument;
    json_t *answer = api(&r->b->d, "/api/v1/events?limit=500"), *event;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        const char *path = json_string_value(json_object_get(event, "path"));
        const char *text = json_string_value(json_object_get(event, "text"));
        found |= path && text && strcmp(path, r->path) == 0 && strstr(text, "per_leaf");
    }
    json_decref(answer);
    return found;
}

static void expect(struct daemon *d, int code, const char *command)
{
    char *output;
    int got = masu(d, &output, command, NULL);
    if (got != code)
        fail_msg("masu %s: %d instead of %d: %s", command, got, code, output);
    free(output);
}

/* ---- stories ---- */

static void rates_hold_and_are_given_back(void **state)
{
    struct bench *b = *state;
    char path[GROUP_PATH_MAX];
    make_group(&b->d, "disk1", path);
    struct rates r = {b, path, true};
    assert_true(wait_until(rates_are, &r, 10));
    sleep(1);
    expect(&b->d, 0, "plan");
    char *output;
    assert_int_equal(masu(&b->d, &output, "release", "--all", NULL), 0);
    free(output);
    assert_true(has_rates(b, path, false));
    expect(&b->d, 0, "apply");
    assert_true(has_rates(b, path, true));
    remove_group(&b->d, path);
}

static void rate_follows_the_processes_down_and_is_refused_where_it_would_multiply(void **state)
{
    struct bench *b = *state;
    struct daemon *d = &b->d;
    char path[GROUP_PATH_MAX], first[GROUP_PATH_MAX], second[GROUP_PATH_MAX];
    if (version_of(d, "blkio") != 1)
        skip(); /* on v2 a rate holds for all below */
    make_group(d, "disk2", path);
    make_group(d, "disk2/first", first);
    make_group(d, "disk2/second", second);
    struct rates at_first = {b, first, true}, top = {b, path, true};
    assert_true(wait_until(rates_are, &top, 10));
    pid_t one = run_sleeper(d, first);
    assert_true(wait_until(rates_are, &at_first, 10));
    assert_true(has_rates(b, second, false));

    pid_t two = run_sleeper(d, second);
    assert_true(wait_until(is_refused, &top, 10));
    assert_true(has_rates(b, first, true)); /* what held before goes on to hold */
    assert_true(has_rates(b, second, false));
    end_child(two);
    end_child(one);
    remove_group(d, path);
}

static int start(void **state)
{
    static struct bench b;
    char policy[512];
    if (!disk_open(&b)) {
        print_message("no loop device can be made here: %s\n", strerror(errno));
        return 0;
    }
    str_format(policy, sizeof policy,
               "quotas:\n"
               "  disk: { match: { path: \"%%s/disk*\" }, io: { %s: { write: 3MB/s, read_iops: 50 } } }\n",
               b.disk);
    daemon_init(&b.d, "throttle", policy, NULL);
    daemon_start(&b.d);
    *state = &b;
    return 0;
}

static int stop(void **state)
{
    struct bench *b = *state;
    if (!b)
        return 0;
    daemon_fini(&b->d);
    disk_close(b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_hold_and_are_given_back),
        cmocka_unit_test(rate_follows_the_processes_down_and_is_refused_where_it_would_multiply),
    };
    return cmocka_run_group_tests_name("throttle", tests, start, stop);
}
