#include "agent/message.h"
#include "base/channel.h"
#include "base/str.h"
#include "model/event.h"
#include "model/knob.h"
#include "model/metric.h"
#include "model/setting.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The rules of masu's tables that a compiler does not check. */

static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
static const char rrd_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

static void assert_spelt(const char *name, const char *characters, size_t longest)
{
    if (!name || !*name || strlen(name) > longest || strspn(name, characters) != strlen(name))
        fail_msg("'%s' is no name here", name ? name : "(none)");
}

/* "A sentence like this": begins with a capital, ends without full stop, stands on one line. */
static void assert_sentence(const char *name, const char *help)
{
    if (!help || strlen(help) < 4)
        fail_msg("%s has no help", name);
    if (strpbrk(help, "\n\t") || str_ends(help, ".") || str_ends(help, " "))
        fail_msg("the help of %s is not one sentence without full stop: '%s'", name, help);
}

static void assert_unique(const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (names[i] && names[j] && strcmp(names[i], names[j]) == 0)
                fail_msg("'%s' stands in two rows", names[i]);
}

static void metric_rows_are_whole(void **state)
{
    (void)state;
    static const char *const groups[] = {"cpu", "memory", "io", "pids", "pressure", "network"};
    const char *names[METRIC_N];
    for (int i = 0; i < METRIC_N; i++) {
        const struct metric *m = &metrics[i];
        names[i] = m->name;
        assert_spelt(m->name, lower, 40);
        assert_sentence(m->name, m->help);
        bool known = false;
        for (size_t g = 0; g < ARRAY_LEN(groups); g++)
            known |= m->group && strcmp(m->group, groups[g]) == 0;
        if (!known)
            fail_msg("%s has no heading", m->name);
        if (!m->v1.form && !m->v2.form)
            fail_msg("%s is available nowhere", m->name);
        if (m->peak && !m->rrd)
            fail_msg("%s keeps a peak but is not archived", m->name);
    }
    assert_unique(names, METRIC_N);
}

static void exported_names_are_unique(void **state)
{
    (void)state;
    static char texts[METRIC_N][80];
    const char *names[METRIC_N];
    for (int i = 0; i < METRIC_N; i++)
        names[i] = metric_openmetrics_name((enum metric_id)i, "masu_container_", texts[i], sizeof texts[i]);
    assert_unique(names, METRIC_N);
}

static void assert_source(const char *name, const struct metric_source *s)
{
    bool needs_file = false, needs_key = false;
    switch (s->form) {
    case METRIC_FORM_NONE:
        return;
    case METRIC_FORM_VALUE:
        needs_file = true;
        break;
    case METRIC_FORM_FLAT:
    case METRIC_FORM_NESTED:
    case METRIC_FORM_BLKIO:
    case METRIC_FORM_PSI:
        needs_file = needs_key = true;
        break;
    case METRIC_FORM_LINK:
        needs_key = true;
        break;
    case METRIC_FORM_AGENT:
        break;
    }
    if (!s->controller || needs_file != (s->file != NULL) || needs_key != (s->key != NULL))
        fail_msg("the source of %s does not fit its form", name);
}

static void metric_sources_fit_their_forms(void **state)
{
    (void)state;
    for (int i = 0; i < METRIC_N; i++) {
        assert_source(metrics[i].name, &metrics[i].v1);
        assert_source(metrics[i].name, &metrics[i].v2);
    }
}

static void archive_columns_fit_librrd(void **state)
{
    (void)state;
    const char *names[METRIC_N];
    for (int i = 0; i < METRIC_N; i++) {
        names[i] = metrics[i].rrd;
        if (metrics[i].rrd)
            assert_spelt(metrics[i].rrd, rrd_characters, METRIC_RRD_NAME_MAX);
    }
    assert_unique(names, METRIC_N);
}

/* Archives on disk have these columns in this order: new ones may follow, none may move, go or be renamed. */
static void archive_columns_never_move(void **state)
{
    (void)state;
    static const char *const columns[] = {
        "cpu_usage",        "cpu_user",          "cpu_system",     "cpu_periods",
        "cpu_thr_periods",  "cpu_throttled",     "cpu_burst",      "cpu_limit",
        "mem_usage",        "mem_limit",         "mem_anon",       "mem_file",
        "mem_kernel",       "mem_tcp",           "mem_shmem",      "mem_dirty",
        "mem_active_file",  "mem_inactive_file", "mem_swap",       "mem_faults",
        "mem_major_faults", "mem_refaults",      "mem_scanned",    "mem_reclaimed",
        "mem_limit_hits",   "mem_high_hits",     "mem_oom_kills",  "pids",
        "pids_limit_hits",  "io_read",           "io_write",       "io_reads",
        "io_writes",        "psi_cpu_some",      "psi_mem_some",   "psi_mem_full",
        "psi_io_some",      "psi_io_full",       "level",          "net_rx",
        "net_tx",           "net_rx_packets",    "net_tx_packets", "net_rx_drops",
        "net_tx_drops",
    };
    size_t at = 0;
    for (int i = 0; i < METRIC_N && at < ARRAY_LEN(columns); i++)
        if (metrics[i].rrd)
            assert_string_equal(metrics[i].rrd, columns[at++]);
    assert_int_equal(at, ARRAY_LEN(columns));
}

static void assert_knob_file(const struct knob *k, const struct knob_file *f, const char *where)
{
    bool is_rule = f->form == KNOB_FORM_BLKIO_RULE || f->form == KNOB_FORM_IO_MAX;
    if (f->form == KNOB_FORM_NONE) {
        if (!f->refusal)
            fail_msg("%s is refused without a reason", k->key);
        assert_sentence(k->key, f->refusal);
        return;
    }
    if (!f->controller || !f->file || f->refusal)
        fail_msg("a file of %s is not whole", k->key);
    if ((f->form == KNOB_FORM_IO_MAX) != (f->key != NULL))
        fail_msg("the key of %s does not fit its form", k->key);
    if (is_rule != k->per_device)
        fail_msg("%s is per device, its file is not, or the other way round", k->key);
    if (k->accepts_unlimited && !is_rule && !f->unlimited)
        fail_msg("%s accepts unlimited but cannot spell it%s", k->key, where);
}

static void knob_rows_are_whole(void **state)
{
    (void)state;
    const char *keys[KNOB_N], *labels[KNOB_N];
    for (int i = 0; i < KNOB_N; i++) {
        const struct knob *k = &knobs[i];
        keys[i] = k->key;
        labels[i] = k->label;
        assert_spelt(k->key, "abcdefghijklmnopqrstuvwxyz0123456789_.", 40);
        assert_sentence(k->key, k->help);
        if (!k->label || !*k->label)
            fail_msg("%s has no label", k->key);
        if (k->maximum && k->maximum < k->minimum)
            fail_msg("%s has a maximum below its minimum", k->key);
        assert_knob_file(k, &k->v1, " on v1");
        assert_knob_file(k, &k->v2, " on v2");
    }
    assert_unique(keys, KNOB_N);
    assert_unique(labels, KNOB_N);
}

static void settings_rows_are_whole(void **state)
{
    (void)state;
    static struct settings settings;
    const char *keys[64];
    assert_true(settings_count <= ARRAY_LEN(keys));
    for (unsigned i = 0; i < settings_count; i++) {
        const struct setting *s = &settings_table[i];
        char why[256] = "";
        keys[i] = s->key;
        assert_spelt(s->key, "abcdefghijklmnopqrstuvwxyz_.", 40);
        assert_sentence(s->key, s->help);
        if (*s->fallback && setting_parse(s, s->fallback, &settings, why, sizeof why) != 0)
            fail_msg("the default '%s' of %s: %s", s->fallback, s->key, why);
        for (unsigned j = 0; j < i; j++)
            if (settings_table[j].offset == s->offset)
                fail_msg("%s and %s fill the same member", settings_table[j].key, s->key);
    }
    assert_unique(keys, settings_count);
}

static void event_rows_are_whole(void **state)
{
    (void)state;
    const char *names[EVENT_N];
    for (int i = 0; i < EVENT_N; i++) {
        names[i] = event_kinds[i].name;
        assert_spelt(event_kinds[i].name, lower, 30);
        assert_sentence(event_kinds[i].name, event_kinds[i].help);
        assert_int_equal(event_find(event_kinds[i].name), i);
    }
    assert_unique(names, EVENT_N);
    assert_int_equal(event_find("nothing"), -1);
}

/* Journals on disk hold these numbers. */
static void event_numbers_never_move(void **state)
{
    (void)state;
    static const char *const events[] = {"born",   "gone",         "pressure", "oom_kill",
                                         "limit",  "limit_failed", "refused",  "drift",
                                         "policy", "role",         "overflow"};
    assert_true(EVENT_N >= ARRAY_LEN(events));
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        assert_string_equal(event_kinds[i].name, events[i]);
}

static void message_rows_are_whole(void **state)
{
    (void)state;
    enum {
        PARENT = 1,
        CORE = 2,
        ENFORCER = 4,
        ARCHIVER = 8,
        GATEWAY = 16,
        COURIER = 32,
        READER = 64,
        ANY = 127
    };
    static const struct {
        const char *name;
        unsigned from, to;
        size_t body;
        unsigned fds;
        const char *help;
    } messages[] = {
#define MESSAGE(id, ...) {.name = #id, __VA_ARGS__},
#include "agent/message.def"
#undef MESSAGE
    };
    const char *names[ARRAY_LEN(messages)];
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        names[i] = messages[i].name;
        assert_sentence(messages[i].name, messages[i].help);
        if (!messages[i].from || !messages[i].to)
            fail_msg("%s goes from nobody or to nobody", messages[i].name);
        if (messages[i].fds > CHANNEL_FDS_MAX || messages[i].body > CHANNEL_BODY_MAX)
            fail_msg("%s does not fit a channel", messages[i].name);
    }
    assert_unique(names, ARRAY_LEN(names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_rows_are_whole),          cmocka_unit_test(exported_names_are_unique),
        cmocka_unit_test(metric_sources_fit_their_forms), cmocka_unit_test(archive_columns_fit_librrd),
        cmocka_unit_test(archive_columns_never_move),     cmocka_unit_test(knob_rows_are_whole),
        cmocka_unit_test(settings_rows_are_whole),        cmocka_unit_test(event_rows_are_whole),
        cmocka_unit_test(event_numbers_never_move),       cmocka_unit_test(message_rows_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
