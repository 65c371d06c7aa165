/*
 * What the enforcer answers: outcomes of plans, and the values it found before masu first wrote. Outcomes
 * change what is known to be in force; errors become sentences here, where the group and the value are at
 * hand. A short answer is taken in at once, a long one in slices.
 */

#include "agent/core.h"
#include "agent/enforcer_found.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"
#include "cgroup/device.h"
#include "cgroup/group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENFORCER_BYTES_MAX = 64 << 20 };

static struct plan_run *find_run(const struct core *core, uint64_t id)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->sent && !run->heard && run->id == id)
            return run;
    return NULL;
}

/* ---- sentences ---- */

static const struct {
    int error;
    const char *text;
} error_texts[] = {
    {-EBUSY, "the group uses more than that and it could not be taken back"},
    {-EINVAL, "the kernel refuses the value beside those of its parent, children or companions"},
    {-ENODEV, "the kernel knows no such disk"},
    {-EPERM, "masu lacks the right to write it"},
    {-EACCES, "masu lacks the right to write it"},
    {-EROFS, "the hierarchy is mounted read-only"},
    {-ESTALE, "the group was made anew meanwhile"},
    {-EOPNOTSUPP, "this kernel cannot do that"},
    {-ERANGE, "the kernel finds the value out of range"},
    {-ECANCELED, "an earlier write of the group failed"},
    {-ETIMEDOUT, "it could not be taken back in time"},
};

static const char *error_text(int error)
{
    for (unsigned i = 0; i < ARRAY_LEN(error_texts); i++)
        if (error_texts[i].error == error)
            return error_texts[i].text;
    return strerror(-error);
}

/* The normal life of a group; the watch tells of it, a moment after or before. */
static bool group_vanished(const struct core *core, const char *path, const struct plan_row *row, int error)
{
    uint64_t id = 0;
    int hierarchy = cgroup_host_by_device(&core->host, row->hierarchy);
    if ((error != -ENOENT && error != -ENODEV && error != -ESTALE) || hierarchy < 0)
        return false;
    if (error == -ENODEV && row->kind == PLAN_WRITE && !row->device)
        return true; /* kernfs says so of a file whose directory is being removed, before the path is gone */
    return group_id(&core->host, (unsigned)hierarchy, path, &id) != 0 || id != row->cgroup_id;
}

/* In the policy's words: on v1 the period stands in a file of its own, written before, and weights are
 * shares. */
static void describe_row(const struct subject *subject, const struct plan_row *row, char *buf, size_t size)
{
    char value[64], device[64];
    const struct knob_setting *period = subject ? knob_set_get(&subject->in_force, KNOB_CPU_PERIOD, 0) : NULL;
    uint64_t period_usec = period ? period->value : 100000, shown = row->value;
    if (row->knob == KNOB_CPU_BANDWIDTH && row->pair)
        period_usec = row->pair;
    if (knobs[row->knob].unit == KNOB_WEIGHT && row->version == 1)
        shown = knob_shares_to_weight(shown);
    knob_format(row->knob, shown, period_usec, value, sizeof value);
    if (row->device)
        str_format(buf, size, "%s of %s %s", knobs[row->knob].key,
                   device_name(row->device, device, sizeof device), value);
    else
        str_format(buf, size, "%s %s", knobs[row->knob].key, value);
}

/* ---- what is known afterwards ---- */

/* What masu overwrites for the first time is worth giving back; what it gave back is forgotten. */
static void note_found(struct subject *subject, const struct plan_row *row)
{
    struct knob_setting replaced[2];
    unsigned count = found_of_row(row, replaced);
    for (unsigned i = 0; i < count; i++) {
        const struct knob_setting *one = &replaced[i];
        if (knob_set_get(&subject->found, one->knob, one->device))
            continue;
        if (knob_set_put(&subject->found, one->knob, one->device, one->value) < 0)
            log_warn("limit", "'%s' has too many knobs to remember, %s is not given back later",
                     subject->identity.path, knobs[one->knob].key);
    }
    if (row->flags & PLAN_ROW_RESTORE)
        knob_set_remove(&subject->found, row->knob, row->device);
}

static struct knob_set *found_at(struct core *core, const char *path)
{
    struct subject *subject = core_subject_at(core, path);
    return subject ? &subject->found : map_get_str(&core->found, path);
}

static void found_keep(struct core *core, const char *path, const struct knob_setting *one)
{
    struct knob_set *set = found_at(core, path);
    if (!set) {
        set = calloc(1, sizeof *set);
        if (!set || map_set_str(&core->found, path, set) < 0) {
            free(set);
            return;
        }
    }
    if (knob_set_get(set, one->knob, one->device))
        return;
    if (knob_set_put(set, one->knob, one->device, one->value) < 0)
        log_warn("limit", "'%s': %s is not given back later", path, knobs[one->knob].key);
}

static void found_forget(struct core *core, const char *path, const struct plan_row *row)
{
    struct knob_set *set = found_at(core, path);
    if (!set)
        return;
    knob_set_remove(set, row->knob, row->device);
    if (set->count == 0 && map_get_str(&core->found, path) == set)
        free(map_remove_str(&core->found, path));
}

static void note_in_force(struct subject *subject, const struct plan_row *row, uint64_t read_back)
{
    int r = knob_set_put(&subject->in_force, row->knob, row->device, read_back);
    /* On v2 one write sets bandwidth and period. */
    if (r == 0 && row->knob == KNOB_CPU_BANDWIDTH && row->version == 2)
        r = knob_set_put(&subject->in_force, KNOB_CPU_PERIOD, 0, row->pair);
    if (r < 0)
        log_debug("limit", "'%s' has more knobs than are shown", subject->identity.path);
}

static void note_written(struct core *core, struct subject *subject, const struct plan_row *row,
                         uint64_t read_back)
{
    char text[128];
    core->writes++;
    if (!subject)
        return;
    note_found(subject, row);
    note_in_force(subject, row, read_back);
    if (row->flags & PLAN_ROW_STEP)
        return;
    describe_row(subject, row, text, sizeof text);
    buf_printf(&subject->told, "%s%s", subject->told.len ? ", " : "", text);
}

/* A memory limit that could be lowered only part of the way stays at the lowest value that was reached. */
static bool note_partial(struct core *core, struct subject *subject, const struct plan_row *row,
                         const struct plan_outcome *outcome)
{
    char wanted[128], reached[64];
    bool lowered = row->kind == PLAN_WRITE && row->value < row->old_value && !outcome->undone;
    if (!subject || !lowered || (outcome->error != -EBUSY && outcome->error != -ETIMEDOUT))
        return false;
    note_in_force(subject, row, outcome->read_back);
    describe_row(subject, row, wanted, sizeof wanted);
    knob_format(row->knob, outcome->read_back, 0, reached, sizeof reached);
    core->writes_failed++;
    core_event(core, EVENT_LIMIT_FAILED, subject, "%s: %s; the lowest value reached, %s, is in force", wanted,
               error_text(outcome->error), reached);
    log_warn("limit", "%s of '%s': %s, %s is in force", wanted, subject->identity.path,
             error_text(outcome->error), reached);
    return true;
}

static void note_failed(struct core *core, struct subject *subject, const struct plan *plan,
                        const struct plan_row *row, const struct plan_outcome *outcome)
{
    char text[128];
    const char *path = plan_text(plan, row->path_off);
    if (outcome->error == -ECANCELED)
        return;
    if (group_vanished(core, path, row, outcome->error))
        return;
    core->writes_failed++;
    if (row->kind == PLAN_WRITE)
        describe_row(subject, row, text, sizeof text);
    else
        str_format(text, sizeof text,
                   row->kind == PLAN_MAKE_GROUP ? "making the group" : "enabling a controller");
    core_event(core, EVENT_LIMIT_FAILED, subject, "%s of '%s': %s", text, path, error_text(outcome->error));
    log_warn("limit", "%s of '%s': %s (%s), left as it was", text, path, error_text(outcome->error),
             strerror(-outcome->error));
}

/* A group without a subject is inside a container or has not been seen yet, since this very plan made it. */
static void note_found_elsewhere(struct core *core, const char *path, const struct plan_row *row)
{
    struct knob_setting replaced[2];
    unsigned count = found_of_row(row, replaced);
    if (core_subject_at(core, path) && !(row->flags & PLAN_ROW_CREATED))
        return; /* made anew since */
    for (unsigned i = 0; i < count; i++)
        found_keep(core, path, &replaced[i]);
    if (row->flags & PLAN_ROW_RESTORE || row->kind == PLAN_FORGET)
        found_forget(core, path, row);
}

static void note_outcome(struct core *core, const struct plan_run *run, uint32_t index)
{
    const struct plan_row *row = &run->plan.rows[index];
    const struct plan_outcome *outcome = &run->outcomes.items[index];
    const char *path = plan_text(&run->plan, row->path_off);
    struct subject *subject = core_run_subject(core, run->id, path);
    if (!subject && !outcome->error && !outcome->undone)
        note_found_elsewhere(core, path, row);
    if (outcome->error && note_partial(core, subject, row, outcome))
        return;
    if (outcome->error)
        note_failed(core, subject, &run->plan, row, outcome);
    else if (row->kind == PLAN_WRITE && !outcome->undone)
        note_written(core, subject, row, outcome->read_back);
    else if (row->kind == PLAN_FORGET && subject)
        knob_set_remove(&subject->found, row->knob, row->device);
}

static void finish_subject(struct core *core, struct subject *subject)
{
    if (subject->told.len)
        core_event(core, EVENT_LIMIT, subject, "%s", subject->told.data);
    buf_clear(&subject->told);
    core_limit_effective(subject);
    if (subject->settle_end_ns) /* those of an older group are opened by the tick, a few per slice */
        core_pressure_open(core, subject);
    core_publish_view(core, subject);
    if (!subject->replan)
        return;
    subject->replan = false;
    core_plan_subject(core, subject);
}

static void finish_row(struct core *core, const struct plan_run *run, uint32_t index)
{
    struct subject *subject =
        core_run_subject(core, run->id, plan_text(&run->plan, run->plan.rows[index].path_off));
    if (subject && subject->planning > 0 && --subject->planning == 0)
        finish_subject(core, subject);
}

/* Row after row until about @until_ns; true: more to do. */
static bool rows_each(struct core *core, struct plan_run *run, uint64_t until_ns,
                      void (*fn)(struct core *core, const struct plan_run *run, uint32_t index))
{
    while (run->row_next < run->plan.row_count) {
        fn(core, run, run->row_next++);
        if (clock_mono_ns() >= until_ns)
            break;
    }
    return run->row_next < run->plan.row_count;
}

/* All rows are noted before anything new is planned or answered. True: more to do; else the run is freed. */
static bool take_in(struct core *core, struct plan_run *run, uint64_t until_ns)
{
    if (!run->finishing) {
        if (rows_each(core, run, until_ns, note_outcome))
            return true;
        if (run->request_id)
            core_api_answer_plan(core, run->request_id, core_run_request(run), &run->plan, &run->outcomes);
        run->finishing = true;
        run->row_next = 0;
    }
    bool more = rows_each(core, run, until_ns, finish_row);
    if (!more)
        core_run_free(run);
    core_flush(core);
    return more;
}

static struct plan_run *first_heard(struct core *core)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->heard)
            return run;
    return NULL;
}

static bool on_outcome_slice(void *owner, uint64_t until_ns)
{
    struct core *core = owner;
    struct plan_run *run = first_heard(core);
    if (run)
        (void)take_in(core, run, until_ns);
    return first_heard(core) != NULL;
}

static int outcomes_of(const struct channel_message *message, const struct plan_run *run,
                       struct plan_outcomes *ret)
{
    struct memfd_view view CLEANUP(memfd_view_fini) = MEMFD_VIEW_NULL;
    int r = memfd_map(message->fds[0], ENFORCER_BYTES_MAX, &view);
    if (r == 0)
        r = plan_outcomes_decode(view.bytes, view.len, ret);
    return r == 0 && ret->count != run->plan.row_count ? -EBADMSG : r;
}

/* No outcome is known: what the plan names is read and planned again. */
static void unheard(struct core *core, struct plan_run *run)
{
    for (uint32_t i = 0; i < run->plan.row_count; i++)
        finish_row(core, run, i);
    core_run_fail(run, "the enforcer's answer cannot be read");
    core_flush(core);
}

void core_plan_done(struct core *core, const struct channel_message *message)
{
    struct plan_run *run = find_run(core, message->id);
    if (!run || message->fd_count != 1)
        return;
    if (outcomes_of(message, run, &run->outcomes) < 0) {
        unheard(core, run);
        return;
    }
    run->heard = true;
    if (take_in(core, run, clock_mono_ns() + LOOP_SLICE_NS))
        loop_job_start(&core->outcome_job);
}

void core_found_values(struct core *core, const struct channel_message *message)
{
    struct memfd_view view CLEANUP(memfd_view_fini) = MEMFD_VIEW_NULL;
    struct plan found = PLAN_NULL;
    int r = message->fd_count == 1 ? memfd_map(message->fds[0], ENFORCER_BYTES_MAX, &view) : -EBADMSG;
    if (r == 0)
        r = plan_decode(view.bytes, view.len, &found);
    if (r < 0)
        log_error("limit", "the values found before cannot be read (%s), releases give back nothing older",
                  strerror(-r));
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->found, &cursor));)
        free(e->value);
    map_fini(&core->found);
    core->found = MAP_NULL;
    for (uint32_t i = 0; r == 0 && i < found.row_count; i++)
        found_keep(core, plan_text(&found, found.rows[i].path_off),
                   &(struct knob_setting){found.rows[i].knob, found.rows[i].device, found.rows[i].old_value});
    plan_fini(&found);
    core->found_known = true;
    core_plan_all(core, PURPOSE_START, 0);
    core_runs_resume(core);
}

void core_enforcer_new(struct core *core)
{
    struct plan_run *run;
    core->found_known = false; /* so that nothing new is planned below */
    while ((run = first_heard(core)))
        (void)take_in(core, run, UINT64_MAX);
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->sent) {
            static const char text[] = "the enforcer was started anew meanwhile, try again";
            if (run->request_id)
                core_api_answer(core, run->request_id, core_run_request(run), RESPONSE_FAILED, text,
                                strlen(text));
            core_run_free(run);
        }
    struct subject *subject;
    LIST_FOR_EACH(subject, &core->subjects, struct subject, all)
        subject->planning = 0;
    struct link_letter letter = {.type = MESSAGE_FOUND};
    if (role_send(core->role, ROLE_ENFORCER, &letter) != ROLE_SENT)
        log_debug("limit", "the enforcer is not there yet, nothing is written until it is");
}

int core_outcomes_start(struct core *core)
{
    return loop_job_init(&core->outcome_job, core->loop, on_outcome_slice, core);
}

void core_outcomes_stop(struct core *core)
{
    loop_job_fini(&core->outcome_job);
}
