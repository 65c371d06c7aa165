/* The fake keeps every case of the list. */

#include "tests/conformance/conformance.h"
#include "tests/conformance/fake_cgroupfs.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int put(struct fake_cgroupfs *fs, const struct conformance_write *write)
{
    char path[FAKE_PATH_MAX], text[128];
    snprintf(path, sizeof path, "/t/%s", write->group);
    return fake_write(fs, path, write->file, conformance_text(write->text, "8:0", text, sizeof text));
}

static void open_group(struct fake_cgroupfs *fs, const char *path, bool parent)
{
    static const char *const controllers[] = {"+cpu", "+io", "+memory", "+pids"};
    assert_int_equal(fake_mkdir(fs, path), 0);
    for (unsigned c = 0; parent && fs->version == 2 && c < ARRAY_LEN(controllers); c++)
        assert_int_equal(fake_write(fs, path, "cgroup.subtree_control", controllers[c]), 0);
}

static void run_case(const struct conformance_case *c)
{
    struct fake_cgroupfs fs;
    char path[FAKE_PATH_MAX], text[256], wanted[256];
    fake_init(&fs, c->version);
    fs.groups[0].subtree_control = (1U << FAKE_CONTROLLERS) - 1;
    open_group(&fs, "/t", true);
    open_group(&fs, "/t/a", true);
    open_group(&fs, "/t/a/b", false);
    for (unsigned i = 0; i < CONFORMANCE_BEFORE_MAX && c->before[i].group; i++)
        assert_int_equal(put(&fs, &c->before[i]), 0);
    snprintf(path, sizeof path, "/t/%s", c->request.group);
    fake_find(&fs, path)->usage = c->held_bytes;
    fake_find(&fs, path)->populated = c->held_bytes > 0;
    int r = put(&fs, &c->request);
    if (r != -c->error)
        fail_msg("%s: errno %d instead of %d", c->name, -r, c->error);
    if (!c->reads)
        return;
    assert_int_equal(fake_read(&fs, path, c->request.file, text, sizeof text), 0);
    assert_string_equal(text, conformance_text(c->reads, "8:0", wanted, sizeof wanted));
}

static void the_fake_answers_every_case_as_the_kernel_does(void **state)
{
    (void)state;
    for (unsigned i = 0; i < conformance_count; i++)
        run_case(&conformance_cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fake_answers_every_case_as_the_kernel_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
