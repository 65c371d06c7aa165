/*
 * Plans on their way. A plan is gathered (in slices when there is much to read), made, sent to the enforcer
 * and answered by outcomes. While a plan that names a group is on its way, news about the group is only
 * noted; it is planned again when the outcomes are in. Nothing is planned before the tree is known, the
 * enforcer has told what it found, and a policy could be read: an empty one would give every limit back.
 * Clients' requests wait until then.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char core_enforce_is_off[] =
    "'enforce: off' stands in masu.yaml: nothing is written; set it to 'on' and restart masud";

static bool ready(const struct core *core, const struct plan_run *run)
{
    bool own_policy = run->policy || run->purpose == PURPOSE_RELEASE;
    return core->scanned_once && core->found_known && (own_policy || core->policy_loaded_wall_ns);
}

/* What one group's run has announced to its subject is taken back. */
static struct subject *let_go(struct plan_run *run)
{
    struct subject *subject = run->holds ? core_run_subject(run->core, run->id, run->path) : NULL;
    run->holds = false;
    if (!subject || subject->planning == 0)
        return NULL;
    subject->planning--;
    return subject;
}

struct plan_run *core_run_free(struct plan_run *run)
{
    if (!run)
        return NULL;
    (void)let_go(run);
    run->gather = gather_free(run->gather);
    if (run->policy)
        policy_fini(run->policy);
    free(run->policy);
    plan_fini(&run->plan);
    plan_outcomes_fini(&run->outcomes);
    list_remove(&run->all);
    free(run);
    return NULL;
}

static struct plan_run *run_new(struct core *core, enum plan_purpose purpose, uint64_t request_id)
{
    struct plan_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->core = core;
    run->id = ++core->run_last_id;
    run->purpose = purpose;
    run->request_id = request_id;
    list_append(&core->runs, &run->all);
    return run;
}

enum request_kind core_run_request(const struct plan_run *run)
{
    switch (run->purpose) {
    case PURPOSE_PLAN:
        return REQUEST_PLAN;
    case PURPOSE_APPLY:
        return REQUEST_APPLY;
    case PURPOSE_RELEASE:
        return REQUEST_RELEASE;
    case PURPOSE_START:
    case PURPOSE_GROUPS:
        break;
    }
    return REQUEST_RELOAD;
}

void core_run_fail(struct plan_run *run, const char *text)
{
    struct core *core = run->core;
    if (run->request_id)
        core_api_answer(core, run->request_id, core_run_request(run), RESPONSE_FAILED, text, strlen(text));
    else
        log_warn("limit", "%s, trying again at the next scan", text);
    core->plan_again = true;
    core_run_free(run);
}

struct subject *core_subject_at(const struct core *core, const char *path)
{
    struct group *group = group_tree_find(&core->tree, path);
    return group ? group->owner : NULL;
}

struct subject *core_run_subject(const struct core *core, uint64_t run_id, const char *path)
{
    struct subject *subject = core_subject_at(core, path);
    return subject && subject->born_run < run_id ? subject : NULL;
}

/* ---- gathering ---- */

static bool run_advance(struct core *core, struct plan_run *run, uint64_t until_ns);

static struct plan_run *first_gathering(struct core *core)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->gather)
            return run;
    return NULL;
}

static void gather_begin(struct core *core, struct plan_run *run)
{
    run->gather = gather_all(core, run->policy ? run->policy : &core->policy);
    if (run->gather)
        loop_job_start(&core->gather_job);
    else
        core_run_fail(run, "out of memory for a plan");
}

void core_runs_resume(struct core *core)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (!run->gather && !run->sent && ready(core, run))
            gather_begin(core, run);
}

static void run_begin_anew(struct plan_run *run)
{
    run->gather = gather_free(run->gather);
    run->made = false;
    plan_fini(&run->plan);
    run->plan = PLAN_NULL;
}

void core_runs_forget(struct core *core)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->gather && !run->policy) {
            if (run->purpose == PURPOSE_APPLY && !core->released)
                run_begin_anew(run); /* with the policy that comes now */
            else if (run->request_id)
                core_run_fail(run, "another policy was loaded meanwhile, try again");
            else
                core_run_free(run);
        }
}

void core_plan_all(struct core *core, enum plan_purpose purpose, uint64_t request_id)
{
    struct plan_run *run = run_new(core, purpose, request_id);
    static const char text[] = "out of memory for a plan";
    if (!run) {
        log_error("limit", "%s, trying again at the next scan", text);
        core->plan_again = true;
    } else if (ready(core, run)) {
        gather_begin(core, run);
    } else if (!request_id) {
        core_run_free(run); /* everything is planned as soon as all is known */
    }
}

void core_plan_policy(struct core *core, struct policy *policy, uint64_t request_id)
{
    static const char text[] = "out of memory for a plan";
    struct plan_run *run = run_new(core, PURPOSE_PLAN, request_id);
    if (run)
        run->policy = malloc(sizeof *run->policy);
    if (!run || !run->policy) {
        core_run_free(run);
        policy_fini(policy);
        core_api_answer(core, request_id, REQUEST_PLAN, RESPONSE_FAILED, text, strlen(text));
        return;
    }
    *run->policy = *policy;
    *policy = POLICY_NULL;
    if (ready(core, run))
        gather_begin(core, run);
}

/* Most groups are read at once; one with many below it goes the way of the long plans. */
void core_plan_subject(struct core *core, struct subject *subject)
{
    if (subject->planning > 0) {
        subject->replan = true;
        return;
    }
    struct plan_run *run = run_new(core, PURPOSE_GROUPS, 0);
    if (run && !ready(core, run)) {
        core_run_free(run); /* as above */
        return;
    }
    if (run)
        run->gather = gather_one(core, subject->group);
    if (!run || !run->gather) {
        log_warn("limit", "out of memory for the plan of '%s', trying again at the next scan",
                 subject->identity.path);
        core->plan_again = true;
        core_run_free(run);
        return;
    }
    str_copy(run->path, sizeof run->path, subject->identity.path);
    if (!run_advance(core, run, clock_mono_ns() + LOOP_SLICE_NS))
        return;
    run->holds = true;
    subject->planning++;
    loop_job_start(&core->gather_job);
}

/* ---- from the plan to the enforcer ---- */

/* A refusal is told once, not at each plan that meets it again, and not of a group that is still being made:
   it may have appeared in one hierarchy and not yet in the next. */
static void tell_refusals(struct core *core, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->refusal_count; i++) {
        const struct plan_refusal *refusal = &plan->refusals[i];
        const char *why = plan_text(plan, refusal->why_off);
        struct subject *subject = core_subject_at(core, plan_text(plan, refusal->path_off));
        uint64_t bit = UINT64_C(1) << (map_hash(why, strlen(why)) % 64);
        if (subject && (subject->settle_end_ns || (subject->refused & bit)))
            continue;
        core->refusals++;
        core_event(core, EVENT_REFUSED, subject, "%s", why);
        if (subject)
            subject->refused |= bit;
    }
}

static int send_plan(struct core *core, struct plan_run *run)
{
    struct buf bytes CLEANUP(buf_fini) = BUF_NULL;
    plan_encode(&run->plan, &bytes);
    if (buf_error(&bytes))
        return buf_error(&bytes);
    CLEANUP_FD int fd = memfd_seal_bytes("plan", bytes.data, bytes.len);
    if (fd < 0)
        return fd;
    struct link_letter letter = {.type = MESSAGE_PLAN, .id = run->id, .fds = &fd, .fd_count = 1};
    int r = role_send(core->role, ROLE_ENFORCER, &letter);
    if (r != ROLE_SENT)
        return r < 0 ? r : r == LINK_FULL ? -EAGAIN : -ENOTCONN;
    run->sent = true;
    core->plans++;
    for (uint32_t i = 0; i < run->plan.row_count; i++) {
        const char *path = plan_text(&run->plan, run->plan.rows[i].path_off);
        struct subject *subject = core_run_subject(core, run->id, path);
        if (subject)
            subject->planning++;
    }
    return 0;
}

static void run_answer_empty(struct plan_run *run)
{
    struct plan_outcomes none = PLAN_OUTCOMES_NULL;
    if (run->request_id)
        core_api_answer_plan(run->core, run->request_id, core_run_request(run), &run->plan,
                             run->purpose == PURPOSE_PLAN ? NULL : &none);
    core_run_free(run);
}

static void run_send(struct core *core, struct plan_run *run)
{
    int r = send_plan(core, run);
    if (r < 0)
        core_run_fail(run, r == -ENOTCONN ? "the enforcer is not there at the moment"
                           : r == -EAGAIN ? "the enforcer has more to do than it can"
                                          : strerror(-r));
}

static void run_decided(struct core *core, struct plan_run *run)
{
    tell_refusals(core, &run->plan);
    if (run->plan.row_count == 0 || (!core->settings->enforce && !run->request_id))
        run_answer_empty(run);
    else if (!core->settings->enforce)
        core_run_fail(run, core_enforce_is_off);
    else
        run_send(core, run);
}

static void run_make(struct core *core, struct plan_run *run)
{
    run->made = true;
    run->made_error = gather_plan(run->gather, run->purpose, &run->plan);
    if (run->made_error == 0 && (run->purpose == PURPOSE_GROUPS || run->purpose == PURPOSE_START))
        core_drift_filter(core, &run->plan);
    struct subject *subject = core_run_subject(core, run->id, run->path);
    if (subject && !subject->replan) /* else somebody wrote after the reading: the next plan tells */
        subject->drift_pending = false;
}

static void run_go_on(struct core *core, struct plan_run *run)
{
    run->gather = gather_free(run->gather);
    struct subject *held = let_go(run);
    if (run->made_error < 0)
        core_run_fail(run, "out of memory for a plan");
    else if (run->purpose == PURPOSE_PLAN)
        run_answer_empty(run);
    else
        run_decided(core, run);
    if (held && held->planning == 0 && held->replan) {
        held->replan = false;
        core_plan_subject(core, held);
    }
    core_flush(core);
}

/* From the reading over the plan to what its purpose asks for, until about @until_ns. True: more to do. */
static bool run_advance(struct core *core, struct plan_run *run, uint64_t until_ns)
{
    if (!run->made) {
        if (gather_step(run->gather, until_ns))
            return true;
        run_make(core, run);
    }
    bool tells = run->made_error == 0 && run->purpose != PURPOSE_PLAN;
    if (tells && gather_tell(run->gather, until_ns))
        return true;
    run_go_on(core, run);
    return false;
}

static bool on_gather_slice(void *owner, uint64_t until_ns)
{
    struct core *core = owner;
    struct plan_run *run = first_gathering(core);
    if (run)
        (void)run_advance(core, run, until_ns);
    return first_gathering(core) != NULL;
}

int core_runs_start(struct core *core)
{
    return loop_job_init(&core->gather_job, core->loop, on_gather_slice, core);
}

void core_runs_stop(struct core *core)
{
    loop_job_fini(&core->gather_job);
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        core_run_free(run);
}
