#include "cgroup/kernel_test.h"
#include "cgroup/knob.h"
#include "cgroup/notify.h"
#include <sys/mman.h>

#define MIB (UINT64_C(1) << 20)

static int setup(void **state)
{
    *state = kernel_open("notify");
    return 0;
}

static int teardown(void **state)
{
    if (*state)
        kernel_close(*state);
    return 0;
}

/* The version of the memory controller's hierarchy; its files are in the test's group. */
static int need(void **state)
{
    if (!*state)
        SKIP("no cgroups to work with");
    struct kernel *k = *state;
    kernel_hand_down(k, "memory", "/");
    return k->host.hierarchies[cgroup_host_find(&k->host, "memory")].version;
}

static int grow(void)
{
    size_t size = 64 * MIB;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return 2;
    for (size_t at = 0; at < size; at += 4096)
        bytes[at] = 1;
    return 0;
}

static void limit_memory(const struct kernel *k, uint64_t bytes)
{
    struct knob_support support[KNOB_N];
    knob_support_probe(&k->host, k->top, support);
    assert_null(support[KNOB_MEMORY_LIMIT].refusal);
    unsigned h = (unsigned)support[KNOB_MEMORY_LIMIT].hierarchy;
    assert_int_equal(knob_write(&k->host, h, k->top, KNOB_MEMORY_LIMIT, 0, bytes, 0), 0);
    if (!support[KNOB_MEMORY_SWAP].refusal)
        assert_int_equal(knob_write(&k->host, h, k->top, KNOB_MEMORY_SWAP, 0, 0, bytes), 0);
}

static bool signalled(const struct notify *notify, enum notify_source source, int timeout_ms)
{
    struct pollfd p = {.fd = notify->fds[source], .events = source == NOTIFY_EVENTS ? POLLPRI : POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static void a_group_that_outgrows_its_limit_is_heard(void **state)
{
    int version = need(state);
    struct kernel *k = *state;
    struct notify notify = NOTIFY_NULL;
    limit_memory(k, 16 * MIB);
    struct worker w = worker_start(grow);
    assert_int_equal(group_attach(&k->host, k->top, w.pid), GROUP_OK);
    assert_int_equal(notify_open(&k->host, k->top, &notify), 0);
    for (int source = 0; source < NOTIFY_N; source++) {
        assert_int_equal(notify.fds[source] >= 0, (source == NOTIFY_EVENTS) == (version == 2));
        if (notify.fds[source] >= 0)
            assert_false(signalled(&notify, (enum notify_source)source, 0));
    }
    worker_go(&w);
    int status = worker_end(&w);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (version == 2) {
        char text[512], name[GROUP_PATH_MAX];
        int memory = cgroup_host_find(&k->host, "memory");
        assert_true(signalled(&notify, NOTIFY_EVENTS, 5000));
        assert_int_equal(notify_drain(&notify, NOTIFY_EVENTS), 1);
        str_format(name, sizeof name, "%s/memory.events", cgroup_below(k->top));
        assert_true(fs_read_at(k->host.hierarchies[memory].dirfd, name, text, sizeof text) > 0);
        assert_non_null(strstr(text, "oom_kill "));
        assert_null(strstr(text, "oom_kill 0"));
    } else {
        assert_true(signalled(&notify, NOTIFY_OOM, 5000));
        assert_true(signalled(&notify, NOTIFY_CRITICAL, 5000));
        assert_true(notify_drain(&notify, NOTIFY_OOM) > 0);
        assert_true(notify_drain(&notify, NOTIFY_CRITICAL) > 0);
        assert_true(notify_drain(&notify, NOTIFY_LOW) > 0);
        assert_int_equal(notify_drain(&notify, NOTIFY_OOM), 0);
    }
    notify_close(&notify);
    assert_int_equal(notify.fds[NOTIFY_OOM], -1);
}

static void a_quiet_group_is_not_heard(void **state)
{
    need(state);
    struct kernel *k = *state;
    struct notify notify = NOTIFY_NULL;
    limit_memory(k, 256 * MIB);
    struct worker w = worker_start(grow);
    assert_int_equal(group_attach(&k->host, k->top, w.pid), GROUP_OK);
    assert_int_equal(notify_open(&k->host, k->top, &notify), 0);
    worker_go(&w);
    assert_int_equal(worker_end(&w), 0);
    for (int source = 0; source < NOTIFY_N; source++)
        if (notify.fds[source] >= 0)
            assert_false(signalled(&notify, (enum notify_source)source, 0));
    notify_close(&notify);
}

static void removing_the_group_wakes_v1_listeners(void **state)
{
    int version = need(state);
    struct kernel *k = *state;
    struct notify notify = NOTIFY_NULL;
    if (version != 1)
        SKIP("v2 has no eventfds");
    assert_int_equal(notify_open(&k->host, k->top, &notify), 0);
    for (unsigned i = 0; i < k->host.count; i++)
        assert_int_equal(group_remove(&k->host, i, k->top), GROUP_OK);
    assert_true(signalled(&notify, NOTIFY_OOM, 5000)); /* why callers look for the group first */
    notify_close(&notify);
    assert_int_equal(notify_open(&k->host, k->top, &notify), GROUP_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_group_that_outgrows_its_limit_is_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quiet_group_is_not_heard, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_the_group_wakes_v1_listeners, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
