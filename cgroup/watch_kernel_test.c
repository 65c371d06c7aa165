#include "base/buf.h"
#include "base/clock.h"
#include "cgroup/kernel_test.h"
#include "cgroup/watch.h"

/* Every story is told by both kinds; the state says which. */
struct story {
    struct kernel *kernel;
    struct watch *watch;
    enum watch_kind kind;
    unsigned hierarchy; /* where it happens */
    struct buf told;    /* "created /a; deleted /a; " of the test's own group and hierarchy */
    unsigned overflows;
    pid_t writer;
};

enum { PATIENCE_MS = 10000, BUDGET = 64 };

static void tell(void *context, const struct watch_event *event)
{
    static const char *const words[] = {
        [WATCH_CREATED] = "created", [WATCH_DELETED] = "deleted", [WATCH_MODIFIED] = "modified"};
    struct story *s = context;
    if (event->type == WATCH_OVERFLOW) {
        s->overflows++;
        return;
    }
    if (event->hierarchy != s->hierarchy || !str_starts(event->path, s->kernel->top))
        return;
    const char *below = event->path + strlen(s->kernel->top);
    buf_printf(&s->told, "%s %s%s%s; ", words[event->type], below, event->name ? "/" : "",
               event->name ? event->name : "");
    if (event->type == WATCH_MODIFIED)
        s->writer = event->pid;
}

static void drain(struct story *s)
{
    int r;
    while ((r = watch_drain(s->watch, BUDGET, tell, s)) == BUDGET)
        ;
    assert_true(r >= 0);
}

/* Waits until what was told contains @text. */
static void await(struct story *s, const char *text)
{
    uint64_t until = clock_mono_ns() + PATIENCE_MS * NSEC_PER_MSEC;
    for (;;) {
        drain(s);
        if (s->told.data && strstr(s->told.data, text))
            return;
        struct pollfd p = {.fd = watch_fd(s->watch), .events = POLLIN};
        if (clock_mono_ns() > until || poll(&p, 1, PATIENCE_MS) != 1)
            fail_msg("\"%s\" was not told in \"%s\"", text, s->told.data ? s->told.data : "");
    }
}

static void open_watch(struct story *s)
{
    uint32_t modified = UINT32_C(1) << s->hierarchy;
    int r = watch_open(&s->kernel->host, modified, (int)s->kind + 1, &s->watch);
    if (r < 0)
        SKIP("fanotify cannot watch cgroups on this kernel: %s", strerror(-r));
    assert_int_equal(watch_kind(s->watch), s->kind);
    assert_int_equal(watch_add_dir(s->watch, s->hierarchy, s->kernel->top), 0);
    drain(s);
    buf_clear(&s->told);
}

static struct story *begin(void **state)
{
    struct story *s = *state;
    if (!s->kernel)
        SKIP("no cgroups to work with");
    open_watch(s);
    return s;
}

static int setup(void **state, enum watch_kind kind)
{
    struct story *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->kernel = kernel_open("watch");
    s->kind = kind;
    s->told = BUF_NULL;
    *state = s;
    return 0;
}

static int setup_fanotify(void **state)
{
    return setup(state, WATCH_FANOTIFY);
}

static int setup_inotify(void **state)
{
    return setup(state, WATCH_INOTIFY);
}

static int teardown(void **state)
{
    struct story *s = *state;
    watch_close(s->watch);
    if (s->kernel)
        kernel_close(s->kernel);
    buf_fini(&s->told);
    free(s);
    return 0;
}

static void make(struct story *s, const char *below)
{
    uint64_t id;
    assert_int_equal(group_make(&s->kernel->host, s->hierarchy, kernel_path(s->kernel, below), &id),
                     GROUP_OK);
}

static void remove_group(struct story *s, const char *below)
{
    assert_int_equal(group_remove(&s->kernel->host, s->hierarchy, kernel_path(s->kernel, below)), GROUP_OK);
}

static void births_are_told_at_every_depth(void **state)
{
    struct story *s = begin(state);
    make(s, "/a");
    await(s, "created /a; ");
    make(s, "/a/b");
    make(s, "/a/b/c");
    make(s, "/a/b/c/d");
    await(s, "created /a/b; ");
    await(s, "created /a/b/c; ");
    await(s, "created /a/b/c/d; ");
}

static void deaths_are_told(void **state)
{
    struct story *s = begin(state);
    make(s, "/a");
    make(s, "/a/b");
    await(s, "created /a/b; ");
    remove_group(s, "/a/b");
    await(s, "deleted /a/b; ");
    remove_group(s, "/a");
    await(s, "deleted /a; ");
}

static void a_group_made_anew_is_told_twice(void **state)
{
    struct story *s = begin(state);
    make(s, "/a");
    await(s, "created /a; ");
    buf_clear(&s->told);
    remove_group(s, "/a");
    make(s, "/a");
    await(s, "deleted /a; created /a; ");
    make(s, "/a/b");
    await(s, "created /a/b; ");
}

static void every_hierarchy_is_told_apart(void **state)
{
    struct story *s = begin(state);
    if (s->kernel->host.count < 2)
        SKIP("this host has one hierarchy");
    for (s->hierarchy = 0; s->hierarchy < s->kernel->host.count; s->hierarchy++) {
        assert_int_equal(watch_add_dir(s->watch, s->hierarchy, s->kernel->top), 0);
        buf_clear(&s->told);
        make(s, "/only");
        await(s, "created /only; ");
        remove_group(s, "/only");
        await(s, "deleted /only; ");
    }
}

static char written_file[PATH_MAX];

static int write_file(void)
{
    int fd = open(written_file, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, "0", 1) == 1 ? 0 : 1;
}

static void foreign_writes_are_told_with_their_author(void **state)
{
    struct story *s = begin(state);
    make(s, "/a");
    await(s, "created /a; ");
    const char *mount = s->kernel->host.hierarchies[s->hierarchy].mount;
    const char *file =
        s->kernel->host.hierarchies[s->hierarchy].version == 1 ? "notify_on_release" : "cgroup.freeze";
    str_format(written_file, sizeof written_file, "%s%s/%s", mount, kernel_path(s->kernel, "/a"), file);
    struct worker w = worker_start(write_file);
    worker_go(&w);
    assert_int_equal(worker_end(&w), 0);
    char text[64];
    str_format(text, sizeof text, "modified /a/%s; ", file);
    await(s, text);
    assert_int_equal(s->writer, s->kind == WATCH_FANOTIFY ? w.pid : 0);
}

static void a_rename_is_a_death_and_a_birth(void **state)
{
    struct story *s = begin(state);
    const struct hierarchy *h = &s->kernel->host.hierarchies[s->hierarchy];
    if (h->version != 1)
        SKIP("v2 groups cannot be renamed");
    make(s, "/a");
    make(s, "/a/b");
    make(s, "/a/b/known");
    await(s, "created /a/b/known; ");
    assert_int_equal(renameat(h->dirfd, cgroup_below(kernel_path(s->kernel, "/a")), h->dirfd,
                              cgroup_below(kernel_path(s->kernel, "/z"))),
                     0);
    await(s, "deleted /a; ");
    await(s, "created /z; ");
    assert_true(s->overflows > 0);
    make(s, "/z/b/c");
    await(s, "created /z/b/c; ");
    make(s, "/a");
    make(s, "/a/b");
    await(s, "created /a/b; ");
    make(s, "/a/b/e");
    await(s, "created /a/b/e; ");
}

static unsigned queue_length(enum watch_kind kind)
{
    char text[32];
    const char *file = kind == WATCH_FANOTIFY ? "/proc/sys/fs/fanotify/max_queued_events"
                                              : "/proc/sys/fs/inotify/max_queued_events";
    return fs_read_at(AT_FDCWD, file, text, sizeof text) > 0 ? (unsigned)strtoul(text, NULL, 10) : 16384;
}

/* The hierarchy whose groups cost least. */
static unsigned cheapest(const struct cgroup_host *host)
{
    static const char *const controllers[] = {"", "freezer", "pids"};
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
        int index = cgroup_host_find(host, controllers[i]);
        if (index >= 0)
            return (unsigned)index;
    }
    return 0;
}

static void lost_events_are_admitted(void **state)
{
    struct story *s = *state;
    s->hierarchy = s->kernel ? cheapest(&s->kernel->host) : 0;
    s = begin(state);
    const struct hierarchy *h = &s->kernel->host.hierarchies[s->hierarchy];
    unsigned queue = queue_length(s->kind);
    if (queue > 20000)
        SKIP("a queue of %u events takes long to fill", queue);
    for (unsigned i = 0; i < queue + 200; i++) {
        char name[GROUP_PATH_MAX];
        str_format(name, sizeof name, "%s/n%u", cgroup_below(s->kernel->top), i);
        assert_int_equal(mkdirat(h->dirfd, name, 0755), 0);
        assert_int_equal(unlinkat(h->dirfd, name, AT_REMOVEDIR), 0);
    }
    drain(s);
    assert_true(s->overflows > 0);
    buf_clear(&s->told);
    make(s, "/after");
    await(s, "created /after; ");
}

static void what_was_born_before_the_watch_is_found(void **state)
{
    struct story *s = *state;
    if (!s->kernel)
        SKIP("no cgroups to work with");
    if (s->kind != WATCH_INOTIFY)
        SKIP("fanotify marks need no directory to be added");
    make(s, "/a");
    make(s, "/a/b");
    assert_int_equal(watch_open(&s->kernel->host, 0, (int)s->kind + 1, &s->watch), 0);
    assert_int_equal(watch_add_dir(s->watch, s->hierarchy, kernel_path(s->kernel, "/no")), -ENOENT);
    assert_int_equal(watch_add_dir(s->watch, s->hierarchy, s->kernel->top), 0);
    await(s, "created /a; ");
    await(s, "created /a/b; ");
    make(s, "/a/b/c");
    await(s, "created /a/b/c; ");
    watch_remove_dir(s->watch, s->hierarchy, kernel_path(s->kernel, "/a/b"));
    buf_clear(&s->told);
    make(s, "/a/b/unheard");
    make(s, "/heard");
    await(s, "created /heard; ");
    assert_null(strstr(s->told.data, "unheard"));
}

static void a_small_budget_loses_nothing(void **state)
{
    struct story *s = begin(state);
    for (int i = 0; i < 5; i++) {
        char below[16];
        str_format(below, sizeof below, "/n%d", i);
        make(s, below);
    }
    for (int i = 0; i < 5; i++) {
        char text[32];
        struct pollfd p = {.fd = watch_fd(s->watch), .events = POLLIN};
        str_format(text, sizeof text, "created /n%d; ", i);
        while (!s->told.data || !strstr(s->told.data, text)) {
            assert_int_equal(poll(&p, 1, PATIENCE_MS), 1); /* what is left keeps it readable */
            assert_int_equal(watch_drain(s->watch, 1, tell, s), 1);
        }
    }
}

static void the_best_kind_is_opened_unasked(void **state)
{
    struct story *s = *state;
    if (!s->kernel)
        SKIP("no cgroups to work with");
    assert_int_equal(watch_open(&s->kernel->host, 0, 0, &s->watch), 0);
    print_message("this kernel watches by %s\n",
                  watch_kind(s->watch) == WATCH_FANOTIFY ? "fanotify" : "inotify");
    assert_int_equal(watch_add_dir(s->watch, s->hierarchy, s->kernel->top), 0);
    make(s, "/a");
    await(s, "created /a; ");
}

#define BOTH(test)                                                                                           \
    {"fanotify: " #test, test, setup_fanotify, teardown, NULL},                                              \
    {                                                                                                        \
        "inotify: " #test, test, setup_inotify, teardown, NULL                                               \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(births_are_told_at_every_depth),
        BOTH(deaths_are_told),
        BOTH(a_group_made_anew_is_told_twice),
        BOTH(every_hierarchy_is_told_apart),
        BOTH(foreign_writes_are_told_with_their_author),
        BOTH(a_rename_is_a_death_and_a_birth),
        BOTH(lost_events_are_admitted),
        BOTH(what_was_born_before_the_watch_is_found),
        BOTH(a_small_budget_loses_nothing),
        cmocka_unit_test_setup_teardown(the_best_kind_is_opened_unasked, setup_fanotify, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
