/* Policies in several files, and who gets which quota. */

#include "policy/policy.h"

#include "base/attrs.h"
#include "base/buf.h"
#include "base/str.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/masu-policy-XXXXXX";

static int enter(void **unused)
{
    (void)unused;
    return mkdtemp(directory) && chdir(directory) == 0 && mkdir("d", 0700) == 0 ? 0 : -1;
}

static int leave(void **unused)
{
    (void)unused;
    static const char *const files[] = {"a.yaml",    "b.yaml",         "d2.yaml",    "d/20.yaml",
                                        "d/10.yaml", "d/.hidden.yaml", "d/notes.txt"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(files[i]);
    return rmdir("d") || rmdir(directory);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct policy load(const char *text)
{
    static const char *const paths[] = {"a.yaml"};
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    write_file("a.yaml", text);
    if (policy_load(paths, 1, &policy, &diags) != 0)
        fail_msg("%u: %s", diags.items[0].line, diags.items[0].text);
    return policy;
}

static struct group_identity group(const char *path, const char *name, const char *runtime)
{
    struct group_identity identity = {.kind = SUBJECT_GROUP};
    str_copy(identity.path, sizeof identity.path, path);
    str_copy(identity.name, sizeof identity.name, name);
    str_copy(identity.runtime, sizeof identity.runtime, runtime);
    return identity;
}

static const char *quota_of(const struct policy *policy, const char *path, const char *name,
                            const char *runtime)
{
    const struct group_identity identity = group(path, name, runtime);
    const struct quota *quota = policy_find(policy, &identity);
    return quota ? quota->name : "none";
}

static const struct policy_setting *setting_of(const struct quota *quota, enum knob_id knob)
{
    for (unsigned i = 0; i < quota->setting_count; i++)
        if (quota->settings[i].knob == knob)
            return &quota->settings[i];
    return NULL;
}

static void first_quota_that_fits_is_the_one(void **unused)
{
    (void)unused;
    struct policy policy = load("quotas:\n"
                                "  template: { pids: 5 }\n"
                                "  web: { match: { container: \"web-*\", runtime: [ lxc, docker ] } }\n"
                                "  lxc: { match: { runtime: lxc } }\n"
                                "  below: { match: { path: /a/** } }\n");
    assert_string_equal(quota_of(&policy, "/lxc/web-1", "web-1", "lxc"), "web");
    assert_string_equal(quota_of(&policy, "/lxc/db", "db", "lxc"), "lxc");
    assert_string_equal(quota_of(&policy, "/docker/0123", "web-2", "docker"), "web");
    assert_string_equal(quota_of(&policy, "/machine/web-3", "web-3", "nspawn"), "none");
    assert_string_equal(quota_of(&policy, "/a/b/c", "/a/b/c", "cgroup"), "below");
    policy_fini(&policy);
}

static void group_that_masu_makes_gets_the_quota_it_names(void **unused)
{
    (void)unused;
    struct policy policy = load("quotas:\n"
                                "  any: { match: { path: /** } }\n"
                                "  small: { pids: 5 }\n"
                                "groups:\n"
                                "  /batch: { quota: small }\n");
    assert_string_equal(quota_of(&policy, "/batch", "/batch", "cgroup"), "small");
    assert_string_equal(quota_of(&policy, "/batch/x", "/batch/x", "cgroup"), "any");
    assert_int_equal(policy.groups[0].line, 5);
    policy_fini(&policy);
}

static void container_glob_means_no_plain_group_and_never_the_host(void **unused)
{
    (void)unused;
    struct policy policy = load("quotas:\n"
                                "  paths: { match: { container: /x/* } }\n"
                                "  all: { match: { container: \"*\" } }\n");
    struct group_identity host = group("/", "thishost", "host");
    host.kind = SUBJECT_HOST;
    assert_string_equal(quota_of(&policy, "/lxc/web", "web", "lxc"), "all");
    assert_string_equal(quota_of(&policy, "/system.slice", "/system.slice", "cgroup"), "none");
    assert_string_equal(quota_of(&policy, "/x/y", "/x/y", "cgroup"), "paths");
    assert_null(policy_find(&policy, &host));
    policy_fini(&policy);
}

static void explain_says_why_and_why_not(void **unused)
{
    (void)unused;
    struct policy policy =
        load("quotas:\n"
             "  small: { pids: 5 }\n"
             "  web: { match: { path: \"/lxc/*\", container: [ \"web-*\", \"api-*\" ] } }\n"
             "  all: { match: { container: \"*\" } }\n");
    const struct group_identity web = group("/lxc/web-1", "web-1", "lxc"), db = group("/lxc/db", "db", "lxc");
    const struct group_identity plain = group("/plain", "/plain", "cgroup");
    char why[256];
    assert_false(policy_explain(&policy.quotas[0], &web, why, sizeof why));
    assert_string_equal(why, "it is a template, it has no match");
    assert_true(policy_explain(&policy.quotas[1], &web, why, sizeof why));
    assert_string_equal(why, "path '/lxc/web-1' fits '/lxc/*', container 'web-1' fits 'web-*'");
    assert_false(policy_explain(&policy.quotas[1], &db, why, sizeof why));
    assert_string_equal(why, "container 'db' fits none of 'web-*', 'api-*'");
    assert_false(policy_explain(&policy.quotas[1], &plain, why, sizeof why));
    assert_string_equal(why, "path '/plain' does not fit '/lxc/*'");
    assert_false(policy_explain(&policy.quotas[2], &plain, why, sizeof why));
    assert_string_equal(
        why, "container '/plain' does not fit '*': no runtime is known for this group, its name is its path");
    policy_fini(&policy);
}

static void chain_of_extends_is_followed_to_its_end(void **unused)
{
    (void)unused;
    struct policy policy =
        load("quotas:\n"
             "  web: { extends: mid, memory: { limit: 2GiB } }\n"
             "  mid: { extends: base, pids: 7, release: keep }\n"
             "  base: { memory: { limit: 1GiB }, pids: 5, account: house, match: { path: /a } }\n");
    const struct quota *web = &policy.quotas[0];
    assert_int_equal(setting_of(web, KNOB_MEMORY_LIMIT)->value, UINT64_C(2) << 30);
    assert_int_equal(setting_of(web, KNOB_PIDS)->value, 7);
    assert_int_equal(setting_of(web, KNOB_PIDS)->line, 3);
    assert_string_equal(web->account, "house");
    assert_int_equal(web->release, RELEASE_KEEP);
    assert_false(web->match.given);
    policy_fini(&policy);
}

static void directory_is_read_in_order_of_names(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"d", "b.yaml"};
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    write_file("d/20.yaml", "quotas: { second: { extends: third } }\n");
    write_file("d/10.yaml", "quotas: { first: { pids: 1 } }\n");
    write_file("d/.hidden.yaml", "no: policy\n");
    write_file("d/notes.txt", "no: policy\n");
    write_file("b.yaml", "quotas: { third: { pids: 3 } }\n");
    assert_int_equal(policy_load(paths, 2, &policy, &diags), 0);
    assert_int_equal(policy.quota_count, 3);
    assert_int_equal(policy.file_count, 3);
    assert_string_equal(policy.quotas[0].name, "first");
    assert_string_equal(policy.quotas[1].name, "second");
    assert_string_equal(policy.quotas[1].file, "d/20.yaml");
    assert_string_equal(policy.quotas[1].settings[0].file, "b.yaml");
    policy_fini(&policy);
}

static void directory_that_lost_its_files_does_not_give_every_limit_back(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"d", "b.yaml"};
    struct policy now = POLICY_NULL, next = {.quota_count = 99};
    struct diags diags = DIAGS_NULL;
    write_file("d/10.yaml", "groups: { /batch: { quota: third } }\n");
    write_file("b.yaml", "quotas: { third: { pids: 3 } }\n");
    unlink("d/20.yaml");
    assert_int_equal(policy_load(paths, 2, &now, &diags), 0);

    unlink("d/10.yaml");
    assert_true(policy_reload(&now, paths, 2, &next, &diags) < 0);
    assert_int_equal(next.quota_count, 99); /* untouched */
    assert_int_equal(diags.count, 1);
    assert_string_equal(diags.items[0].file, "d");
    assert_non_null(strstr(diags.items[0].text, "no policy file (*.yaml) is left"));
    diags_fini(&diags);

    write_file("d/10.yaml", "quotas: {}\n");
    assert_int_equal(policy_reload(&now, paths, 2, &next, &diags), 0);
    policy_fini(&now);
    policy_fini(&next);
}

static void directory_that_never_held_a_policy_may_stay_empty(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"d", "d2.yaml"};
    struct policy now = POLICY_NULL, next = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    unlink("d/10.yaml");
    write_file("d2.yaml", "quotas: { third: { pids: 3 } }\n");
    assert_int_equal(policy_reload(&POLICY_NULL, paths, 2, &now, &diags), 0);
    assert_int_equal(policy_reload(&now, paths, 2, &next, &diags), 0);
    assert_int_equal(next.quota_count, 1);
    policy_fini(&now);
    policy_fini(&next);
}

static void one_name_in_two_files_is_refused_with_both_places(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"a.yaml", "b.yaml"};
    struct policy policy = {.quota_count = 99};
    struct diags diags = DIAGS_NULL;
    char line[1024];
    write_file("a.yaml", "quotas: { web: { pids: 1 } }\ngroups: { /g: { quota: web } }\n");
    write_file("b.yaml", "quotas: { web: { pids: 2 } }\ngroups: { /g: { quota: web } }\n");
    assert_true(policy_load(paths, 2, &policy, &diags) < 0);
    assert_int_equal(policy.quota_count, 99); /* untouched */
    assert_int_equal(diags.count, 2);
    assert_string_equal(diag_format(&diags.items[0], line, sizeof line),
                        "b.yaml:1:11: quota 'web' stands already in a.yaml:1");
    assert_string_equal(diag_format(&diags.items[1], line, sizeof line),
                        "b.yaml:2:11: group '/g' stands already in a.yaml:2");
    diags_fini(&diags);
}

static void errors_of_all_files_are_told_in_their_order(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"a.yaml", "b.yaml", "missing.yaml"};
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    write_file("a.yaml", "quotas:\n  x: { extends: y }\n  z: { pid: 3 }\n");
    write_file("b.yaml", "quotas: [\n");
    assert_true(policy_load(paths, 3, &policy, &diags) < 0);
    assert_int_equal(diags.count, 3);
    assert_string_equal(diags.items[0].file,
                        "a.yaml"); /* y may stand in the broken file: nothing is said of it */
    assert_string_equal(diags.items[0].key, "quotas.z.pid");
    assert_string_equal(diags.items[1].file, "b.yaml");
    assert_string_equal(diags.items[2].file, "missing.yaml");
    diags_fini(&diags);
}

static void more_errors_than_are_told_are_counted(void **unused)
{
    (void)unused;
    static const char *const paths[] = {"a.yaml"};
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    struct buf text = BUF_NULL;
    buf_puts(&text, "quotas:\n");
    for (unsigned i = 0; i < 100; i++)
        buf_printf(&text, "  q%u: { pids: none }\n", i);
    write_file("a.yaml", text.data);
    assert_true(policy_load(paths, 1, &policy, &diags) < 0);
    assert_int_equal(diags.count, DIAGS_MAX);
    assert_int_equal(diags.dropped, 100 - DIAGS_MAX);
    diags_fini(&diags);
    buf_fini(&text);
}

static void nothing_to_load_is_an_empty_policy(void **unused)
{
    (void)unused;
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    assert_int_equal(policy_load(NULL, 0, &policy, &diags), 0);
    assert_string_equal(quota_of(&policy, "/a", "/a", "cgroup"), "none");
    policy_fini(&policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_quota_that_fits_is_the_one),
        cmocka_unit_test(group_that_masu_makes_gets_the_quota_it_names),
        cmocka_unit_test(container_glob_means_no_plain_group_and_never_the_host),
        cmocka_unit_test(explain_says_why_and_why_not),
        cmocka_unit_test(chain_of_extends_is_followed_to_its_end),
        cmocka_unit_test(directory_is_read_in_order_of_names),
        cmocka_unit_test(directory_that_lost_its_files_does_not_give_every_limit_back),
        cmocka_unit_test(directory_that_never_held_a_policy_may_stay_empty),
        cmocka_unit_test(one_name_in_two_files_is_refused_with_both_places),
        cmocka_unit_test(errors_of_all_files_are_told_in_their_order),
        cmocka_unit_test(more_errors_than_are_told_are_counted),
        cmocka_unit_test(nothing_to_load_is_an_empty_policy),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
