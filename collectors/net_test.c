/*
 * Network counters on the running kernel, in namespaces of this test alone: the process moves to a namespace
 * of its own ("the host") and starts a child in another ("the container"). Nothing leaves them.
 */

#include "collectors/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DATAGRAMS = 20, DATAGRAM_BYTES = 1000, PORT = 9, HEADERS_BYTES = 42 /* Ethernet, IPv4, UDP */ };

struct container {
    pid_t pid;
    int to, from; /* pipes: a byte each way is a step done */
    struct net *net;
    const char *unable; /* why the tests are skipped; NULL: they run */
};

static void step_tell(int fd)
{
    char byte = 0;
    if (write(fd, &byte, 1) != 1)
        _exit(1);
}

static bool step_wait(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 1;
}

static bool run(const char *command)
{
    return system(command) == 0;
}

static struct sockaddr_in address_of(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

/* The container: takes an address on its end, receives what comes without answering, and waits to be killed.
 */
static void container_live(int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNET) < 0)
        _exit(1);
    step_tell(out);
    if (!step_wait(in) || !run("ip addr add 10.213.7.2/24 dev inside && ip link set inside up"))
        _exit(1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in self = address_of("10.213.7.2");
    if (fd < 0 || bind(fd, (const struct sockaddr *)&self, sizeof self) < 0)
        _exit(1);
    step_tell(out);
    for (;;)
        pause();
}

static const char *container_start(struct container *c)
{
    int down[2], up[2];
    if (geteuid() != 0)
        return "needs root";
    if (!run("command -v ip > /dev/null"))
        return "needs ip(8)";
    if (unshare(CLONE_NEWNET) < 0)
        return "the kernel gives no network namespace";
    if (pipe(down) < 0 || pipe(up) < 0)
        return "no pipes";
    c->pid = fork();
    if (c->pid == 0)
        container_live(down[0], up[1]);
    close(down[0]);
    close(up[1]);
    c->to = down[1];
    c->from = up[0];
    char command[128];
    snprintf(command, sizeof command, "ip link add outside type veth peer name inside netns %d", (int)c->pid);
    if (c->pid < 0 || !step_wait(c->from) || !run(command))
        return "the kernel makes no veth pair";
    step_tell(c->to);
    if (!run("ip addr add 10.213.7.1/24 dev outside && ip link set outside up && ip link set lo up") ||
        !step_wait(c->from))
        return "no address could be set";
    /* a pair of which both ends stay on the host */
    return run("ip link add left type veth peer name right") ? NULL : "the kernel makes no second veth pair";
}

static int set_up(void **state)
{
    struct container *c = calloc(1, sizeof *c);
    if (!c)
        return -1;
    c->unable = container_start(c);
    *state = c;
    return net_open(&c->net);
}

static int tear_down(void **state)
{
    struct container *c = *state;
    net_close(c->net);
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    free(c);
    return 0;
}

static struct container *ready(void **state)
{
    struct container *c = *state;
    if (c->unable) {
        print_message("skipped: %s\n", c->unable);
        skip();
    }
    return c;
}

static void send_datagrams(const char *to)
{
    static const char datagram[DATAGRAM_BYTES];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = address_of(to);
    assert_true(fd >= 0);
    for (int i = 0; i < DATAGRAMS; i++)
        assert_int_equal(
            sendto(fd, datagram, sizeof datagram, 0, (const struct sockaddr *)&address, sizeof address),
            (ssize_t)sizeof datagram);
    close(fd);
}

static void what_the_host_sent_the_container_received(void **state)
{
    struct container *c = ready(state);
    struct row before = {.mono_ns = 0}, after = {.mono_ns = 0};
    int32_t nsid = -1;
    assert_int_equal(net_refresh(c->net), 0);
    assert_int_equal(net_nsid_of(c->net, c->pid, &nsid), 0);
    assert_true(nsid >= 0);
    assert_true(net_fill_container(c->net, nsid, &before));
    send_datagrams("10.213.7.2");
    /* the first datagrams wait for an ARP answer: look until the last one went */
    uint64_t packets = 0;
    for (int tries = 0; packets < DATAGRAMS && tries < 500; tries++) {
        usleep(10000);
        assert_int_equal(net_refresh(c->net), 0);
        assert_true(net_fill_container(c->net, nsid, &after));
        packets =
            after.values[METRIC_NETWORK_RECEIVE_PACKETS] - before.values[METRIC_NETWORK_RECEIVE_PACKETS];
    }
    uint64_t received =
        after.values[METRIC_NETWORK_RECEIVE_BYTES] - before.values[METRIC_NETWORK_RECEIVE_BYTES];
    uint64_t sent =
        after.values[METRIC_NETWORK_TRANSMIT_BYTES] - before.values[METRIC_NETWORK_TRANSMIT_BYTES];
    assert_true(received >= DATAGRAMS * (DATAGRAM_BYTES + HEADERS_BYTES) * 9 / 10);
    assert_true(sent < DATAGRAM_BYTES * DATAGRAMS / 4); /* ARP and neighbour discovery only */
    assert_true(row_has(&after, METRIC_NETWORK_TRANSMIT_DROPS));
}

static void loopback_and_container_sides_are_no_host_interfaces(void **state)
{
    struct container *c = ready(state);
    struct row row = {.mono_ns = 0};
    bool left = false, right = false;
    assert_int_equal(net_refresh(c->net), 0);
    unsigned count = 0;
    for (const char *name; (name = net_interface(c->net, count, &row)); count++) {
        assert_string_not_equal(name, "lo");
        assert_string_not_equal(name, "outside");
        assert_true(row_has(&row, METRIC_NETWORK_RECEIVE_BYTES));
        left |= strcmp(name, "left") == 0;
        right |= strcmp(name, "right") == 0;
    }
    assert_true(left && right);
}

static void the_hosts_total_has_hardware_only_and_is_absent_without(void **state)
{
    struct container *c = ready(state);
    struct row row = {.mono_ns = 0};
    row_set(&row, METRIC_NETWORK_RECEIVE_BYTES, 1);
    row_set(&row, METRIC_PIDS, 1);
    assert_int_equal(net_refresh(c->net), 0);
    net_fill_host(c->net, &row);
    assert_false(row_has(&row, METRIC_NETWORK_RECEIVE_BYTES));
    assert_true(row_has(&row, METRIC_PIDS));
}

static void the_hosts_own_processes_have_no_container_network(void **state)
{
    struct container *c = ready(state);
    struct row row = {.mono_ns = 0};
    int32_t nsid = -1;
    assert_int_equal(net_refresh(c->net), 0);
    assert_int_equal(net_nsid_of(c->net, getpid(), &nsid), -ENOENT);
    assert_false(net_fill_container(c->net, 4711, &row));
    assert_false(row_has(&row, METRIC_NETWORK_RECEIVE_BYTES));
}

static void a_process_that_is_gone_says_so(void **state)
{
    struct container *c = ready(state);
    int32_t nsid = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(net_nsid_of(c->net, pid, &nsid), -ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_host_sent_the_container_received),
        cmocka_unit_test(loopback_and_container_sides_are_no_host_interfaces),
        cmocka_unit_test(the_hosts_total_has_hardware_only_and_is_absent_without),
        cmocka_unit_test(the_hosts_own_processes_have_no_container_network),
        cmocka_unit_test(a_process_that_is_gone_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
