#include "cli/client.h"
#include "cli/command.h"
#include "cli/show.h"
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define PATH "/api/v1/status"

enum { RING_LEAST_S = 30 };

static const char *user_name(double uid, char buf[static SHOW_MAX])
{
    const struct passwd *user = getpwuid((uid_t)uid);

    if (user)
        snprintf(buf, SHOW_MAX, "%s", user->pw_name);
    else
        snprintf(buf, SHOW_MAX, "%.0f", uid);
    return buf;
}

static void put_process(struct table *table, const json_t *process, double now)
{
    char text[SHOW_MAX];
    const json_t *pid = json_object_get(process, "pid");
    double started = show_number(process, "started", 0), restarts = show_number(process, "restarts", 0);

    table_put(table, PAINT_NONE, show_text(process, "role"));
    bool up = json_is_integer(pid), stopped = json_is_true(json_object_get(process, "stopped"));
    table_put(table, up && !stopped ? PAINT_NONE : PAINT_RED,
              !up       ? "down"
              : stopped ? "stopped"
                        : show_count(pid, text));
    table_put(table, PAINT_NONE, user_name(show_number(process, "uid", 0), text));
    table_put(table, PAINT_NONE, started > 0 && json_is_integer(pid) ? show_age(now - started, text) : "-");
    double cpu = show_number(process, "cpu", -1);
    table_put(table, PAINT_NONE, cpu >= 0 ? show_seconds(cpu, text) : "-");
    table_put(table, PAINT_NONE, show_bytes(json_object_get(process, "memory"), text));
    table_printf(table, restarts > 0 ? PAINT_YELLOW : PAINT_NONE, "%.0f", restarts);
}

static void put_processes(struct buf *out, const json_t *status)
{
    static const struct table_column columns[] = {{"ROLE", false},   {"PID", true}, {"USER", false},
                                                  {"UP", true},      {"CPU", true}, {"MEMORY", true},
                                                  {"RESTARTS", true}};
    struct table table;
    const json_t *process;
    size_t i;

    table_init(&table, columns, ARRAY_LEN(columns));
    json_array_foreach(json_object_get(status, "processes"), i, process)
        put_process(&table, process, show_number(status, "now", 0));
    table_render(&table, 0, 0, out);
    table_fini(&table);
}

static void put_label(struct buf *out, const char *label)
{
    char padded[16];

    snprintf(padded, sizeof padded, "  %-10s", label);
    paint_put(out, PAINT_DIM, padded);
}

/* A number of the status, with its noun. */
static const char *counted(const json_t *status, const char *path, const char *one, const char *many,
                           char buf[static SHOW_MAX])
{
    return show_counted(show_number(status, path, 0), one, many, buf);
}

static void put_hierarchies(struct buf *out, const json_t *status)
{
    const json_t *hierarchy;
    unsigned v1 = 0, v2 = 0;
    size_t i;

    json_array_foreach(json_object_get(status, "hierarchies"), i, hierarchy) *
        (show_number(hierarchy, "version", 0) < 2 ? &v1 : &v2) += 1;
    put_label(out, "mode");
    const char *mode = show_text(status, "mode");
    paint_put(out, PAINT_BOLD, *mode ? mode : "not known yet");
    char count[SHOW_MAX];
    buf_printf(out, ": %s, %s\n", show_counted(v1, "cgroup v1 hierarchy", "cgroup v1 hierarchies", count),
               v2 ? "cgroup v2" : "no cgroup v2");
}

static void put_sampling(struct buf *out, const json_t *status)
{
    char groups[SHOW_MAX], times[SHOW_MAX], interval[SHOW_MAX], last[SHOW_MAX], longest[SHOW_MAX],
        turn[SHOW_MAX], cpu[SHOW_MAX];

    put_label(out, "sampling");
    if (!*show_text(status, "sampler")) {
        buf_puts(out, "not begun yet\n");
        return;
    }
    buf_printf(out, "%s every %s by %s; the last took %s, the longest %s, the longest turn %s (%s of CPU)\n",
               counted(status, "counts.groups", "group", "groups", groups),
               show_seconds(show_number(status, "interval", 0), interval), show_text(status, "sampler"),
               show_seconds(show_number(status, "sampling.last", 0), last),
               show_seconds(show_number(status, "sampling.longest", 0), longest),
               show_seconds(show_number(status, "loop.longest_turn", 0), turn),
               show_seconds(show_number(status, "loop.longest_turn_cpu", 0), cpu));
    put_label(out, "births");
    buf_printf(out, "seen by %s; the whole tree was read %s\n", show_text(status, "watch"),
               counted(status, "sampling.rescans", "time", "times", times));
}

static void put_policy(struct buf *out, const json_t *status)
{
    char age[SHOW_MAX], quotas[SHOW_MAX], groups[SHOW_MAX], plans[SHOW_MAX], writes[SHOW_MAX],
        drifts[SHOW_MAX];
    double loaded = show_number(status, "policy.loaded", 0);

    put_label(out, "policy");
    if (loaded > 0)
        buf_printf(out, "%s, loaded %s ago; %s managed\n",
                   counted(status, "counts.quotas", "quota", "quotas", quotas),
                   show_age(show_number(status, "now", 0) - loaded, age),
                   counted(status, "counts.managed", "group", "groups", groups));
    else
        buf_puts(out, "none loaded\n");
    put_label(out, "limits");
    buf_printf(out, "%s: %s, %s, %.0f failed, %.0f refused, %s\n",
               json_is_false(show_member(status, "enforce")) ? "observed only" : "enforced",
               counted(status, "enforcer.plans", "plan", "plans", plans),
               counted(status, "enforcer.writes", "write", "writes", writes),
               show_number(status, "enforcer.failed", 0), show_number(status, "enforcer.refused", 0),
               counted(status, "enforcer.drift", "drift", "drifts", drifts));
}

static void warn(struct buf *out, const char *format, ...) PRINTF_LIKE(2, 3);

static void warn(struct buf *out, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    paint_put(out, PAINT_YELLOW, "warning: ");
    paint_put(out, PAINT_NONE, text);
    buf_putc(out, '\n');
}

static void warn_of_process(struct buf *out, const json_t *process)
{
    const json_t *pid = json_object_get(process, "pid");

    if (!json_is_integer(pid))
        warn(out, "%s is not running", show_text(process, "role"));
    else if (json_is_true(json_object_get(process, "stopped")))
        warn(out, "%s was stopped by a signal and does nothing; 'kill -CONT %lld' lets it go on",
             show_text(process, "role"), (long long)json_integer_value(pid));
}

static void put_warnings(struct buf *out, const json_t *status)
{
    const json_t *process;
    char text[SHOW_MAX];
    double held = show_number(status, "bus.seconds", 0);
    size_t i;

    if (*show_text(status, "policy.error"))
        warn(out, "the policy on disk was rejected, %s: %s",
             show_number(status, "policy.loaded", 0) > 0 ? "the last good one holds"
                                                         : "limits stay as they are until one can be read",
             show_text(status, "policy.error"));
    if (json_is_true(show_member(status, "policy.released")))
        warn(out, "everything was released: no quota holds until 'masu apply'");
    if (json_is_false(json_object_get(status, "enforce")))
        warn(out, "enforce is off: limits are planned, none is written");
    json_array_foreach(json_object_get(status, "processes"), i, process) warn_of_process(out, process);
    if (held > 0 && held < RING_LEAST_S)
        warn(out, "the bus holds %s of samples, less than %d s: raise bus.size", show_seconds(held, text),
             RING_LEAST_S);
    if (show_number(status, "enforcer.failed", 0) > 0)
        warn(out, "%s could not be written; see masu events --type limit_failed",
             counted(status, "enforcer.failed", "limit", "limits", text));
    if (show_number(status, "counts.too_long", 0) > 0)
        warn(out, "%s too long to be followed",
             counted(status, "counts.too_long", "group has a path", "groups have paths", text));
    if (show_number(status, "sampling.overflows", 0) > 0)
        warn(out, "the kernel's event queue overflowed %s: births were noticed late",
             counted(status, "sampling.overflows", "time", "times", text));
}

static int run(const struct args *args)
{
    struct buf out = BUF_NULL;
    char age[SHOW_MAX];
    json_t *status = client_get(PATH);

    if (!status)
        return EXIT_FAILED;
    if (args->json)
        return show_json(status);
    paint_put(&out, PAINT_BOLD, "masu ");
    paint_put(&out, PAINT_BOLD, show_text(status, "version"));
    buf_puts(&out, " on ");
    paint_put(&out, PAINT_NONE, show_text(status, "host"));
    buf_printf(&out, " (Linux %s), up %s\n", show_text(status, "kernel"),
               show_age(show_number(status, "now", 0) -
                            show_number(status, "started", show_number(status, "now", 0)),
                        age));
    put_hierarchies(&out, status);
    put_sampling(&out, status);
    put_policy(&out, status);
    buf_putc(&out, '\n');
    put_processes(&out, status);
    put_warnings(&out, status);
    json_decref(status);
    return show_buf(&out);
}

const struct command command_status = {
    .name = "status",
    .words = "",
    .help = "Show how masu itself is: what it found on this host, what its processes use, what is wrong",
    .run = run,
};
