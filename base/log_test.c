#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* While a story runs, standard error is a memfd. */
static int real_stderr;

static int catch_lines(void **state)
{
    (void)state;
    int caught = memfd_create("stderr", MFD_CLOEXEC);
    real_stderr = dup(STDERR_FILENO);
    if (caught < 0 || real_stderr < 0 || dup2(caught, STDERR_FILENO) < 0)
        return -1;
    fd_close(caught);
    unsetenv("JOURNAL_STREAM");
    log_init("masud core", LOG_INFO);
    return 0;
}

static int release_lines(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    fd_close(real_stderr);
    return 0;
}

static const char *lines(void)
{
    static char text[65536];
    return fs_pread(STDERR_FILENO, text, sizeof text) < 0 ? "" : text;
}

static unsigned line_count(void)
{
    unsigned count = 0;
    for (const char *at = lines(); (at = strchr(at, '\n')) != NULL; at++)
        count++;
    return count;
}

static void a_line_names_program_level_and_subsystem(void **state)
{
    (void)state;
    log_warn("policy", "memory.limit of '%s': busy, keeping 2 GiB", "/web");
    assert_string_equal(lines(), "masud core: warn policy: memory.limit of '/web': busy, keeping 2 GiB\n");
}

static void what_is_below_the_level_is_silent(void **state)
{
    (void)state;
    log_debug("core", "detail");
    assert_string_equal(lines(), "");
    log_init("masud core", LOG_DEBUG);
    log_debug("core", "detail");
    assert_string_equal(lines(), "masud core: debug core: detail\n");
}

static void the_journal_gets_priorities(void **state)
{
    (void)state;
    struct stat st;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    str_format(stream, sizeof stream, "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("masud", LOG_INFO);
    log_error("core", "bad");
    log_info("core", "good");
    assert_string_equal(lines(), "<3>masud: error core: bad\n<6>masud: info core: good\n");
}

static void a_redirected_service_gets_none(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "1:2", 1); /* standard error is no longer that stream */
    log_init("masud", LOG_INFO);
    log_info("core", "good");
    assert_string_equal(lines(), "masud: info core: good\n");
}

static void a_flood_from_one_place_is_held_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        log_warn("core", "again %u", i);
    log_warn("core", "another place");
    assert_int_equal(line_count(), 11);
    assert_non_null(strstr(lines(), "another place"));
}

static void what_was_held_back_is_counted(void **state)
{
    (void)state;
    struct log_site site = {.window_s = 1, .count = 10, .held = 32}; /* a window long past */
    log_line(&site, LOG_WARN, "core", "again");
    assert_string_equal(lines(), "masud core: warn core: 32 more lines like the next were held back\n"
                                 "masud core: warn core: again\n");
}

static void a_name_cannot_forge_a_line(void **state)
{
    (void)state;
    log_warn("core", "group '%s' is gone", "x'\nmasud: error core: forged");
    assert_int_equal(line_count(), 1);
}

static void an_endless_text_is_one_line(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_warn("core", "%s", text);
    assert_int_equal(line_count(), 1);
    assert_true(strlen(lines()) < 2100);
    assert_true(str_ends(lines(), "...\n"));
}

static void logging_keeps_errno(void **state)
{
    (void)state;
    errno = ENOSPC;
    log_warn("core", "%m");
    assert_int_equal(errno, ENOSPC);
    assert_non_null(strstr(lines(), "No space left"));
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, catch_lines, release_lines)
    const struct CMUnitTest tests[] = {
        STORY(a_line_names_program_level_and_subsystem),
        STORY(what_is_below_the_level_is_silent),
        STORY(the_journal_gets_priorities),
        STORY(a_redirected_service_gets_none),
        STORY(a_flood_from_one_place_is_held_back),
        STORY(what_was_held_back_is_counted),
        STORY(a_name_cannot_forge_a_line),
        STORY(an_endless_text_is_one_line),
        STORY(logging_keeps_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
