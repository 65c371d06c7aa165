/*
 * The policy in force and the plans on their way. A plan is gathered (in slices when it is about everything,
 * at once when it is about one group), made, sent to the enforcer and answered by outcomes. While a plan that
 * names a group is on its way, news about the group is only noted; it is planned again when the outcomes are
 * in.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool names_exactly(const struct policy *policy, const struct quota *quota, const char *path)
{
    for (unsigned i = 0; i < policy->group_count; i++)
        if (strcmp(policy->groups[i].path, path) == 0)
            return true;
    for (unsigned i = 0; i < quota->match.path.count; i++)
        if (strcmp(quota->match.path.items[i], path) == 0)
            return true;
    return false;
}

/* masu's own groups, PID 1's, and their ancestors: a glob that is too wide must not throttle the host's
 * keepers. */
static bool untouchable(const struct core *core, const char *path)
{
    size_t len = strlen(path);
    for (unsigned who = 0; who < 2; who++)
        for (unsigned h = 0; h < core->host.count; h++) {
            const char *own = core->untouchable[who][h];
            if (strncmp(own, path, len) == 0 && (own[len] == '\0' || own[len] == '/'))
                return true;
        }
    return false;
}

bool core_manages(const struct core *core, const struct policy *policy, const struct group_identity *identity,
                  const struct quota **ret_quota)
{
    *ret_quota = NULL;
    if (core->released || identity->kind != SUBJECT_GROUP || !core_in_scope(core, identity->path))
        return false;
    const struct quota *quota = policy_find(policy, identity);
    if (!quota || (untouchable(core, identity->path) && !names_exactly(policy, quota, identity->path)))
        return false;
    *ret_quota = quota;
    return true;
}

static void find_quota(struct core *core, struct subject *subject)
{
    subject->created = false;
    for (unsigned i = 0; i < core->policy.group_count; i++)
        if (strcmp(core->policy.groups[i].path, subject->identity.path) == 0)
            subject->created = true;
    if (!core_manages(core, &core->policy, &subject->identity, &subject->quota)) {
        subject->quota = NULL;
        subject->wanted = (struct knob_set){0};
    }
    if (subject->quota)
        subject->release = subject->quota->release;
}

/* The least of the group and its ancestors, as far as they are followed. */
void core_limit_effective(struct core *core, struct subject *subject)
{
    uint64_t memory = KNOB_UNLIMITED, cpu_ppm = KNOB_UNLIMITED;
    for (const struct group *g = subject->group; g; g = g->parent) {
        const struct subject *s = g->owner;
        if (!s)
            continue;
        const struct knob_setting *limit = knob_set_get(&s->in_force, KNOB_MEMORY_LIMIT, 0);
        const struct knob_setting *quota = knob_set_get(&s->in_force, KNOB_CPU_BANDWIDTH, 0);
        const struct knob_setting *period = knob_set_get(&s->in_force, KNOB_CPU_PERIOD, 0);
        if (limit && limit->value < memory)
            memory = limit->value;
        if (!quota || quota->value == KNOB_UNLIMITED || !period || !period->value)
            continue;
        uint64_t ppm = quota->value * 1000000 / period->value;
        if (ppm < cpu_ppm)
            cpu_ppm = ppm;
    }
    subject->memory_limit = memory;
    subject->cpu_limit_ppm = cpu_ppm;
    core_pressure_open(core, subject);
}

/* ---- the policy ---- */

static void forget_runs(struct core *core)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->gather && !run->policy)
            core_run_free(run);
}

void core_policy_set(struct core *core, struct policy *policy)
{
    forget_runs(core); /* what they gathered points into the old policy */
    policy_fini(&core->policy);
    core->policy = *policy;
    *policy = POLICY_NULL;
    core->released = false;
    core->policy_error[0] = '\0';
    core->policy_loaded_wall_ns = clock_wall_ns();
    struct subject *subject;
    LIST_FOR_EACH(subject, &core->subjects, struct subject, all)
        if (subject->group) {
            find_quota(core, subject);
            subject->adopted = 0;
            subject->fight_until_ns = 0;
            subject->refused = 0;
            core_publish_view(core, subject);
        }
}

void core_policy_load(struct core *core)
{
    const char *paths[SETTING_LIST_MAX];
    const struct setting_list *list = &core->settings->policy;
    for (unsigned i = 0; i < list->count; i++)
        paths[i] = list->items[i];
    struct policy policy = POLICY_NULL;
    struct diags diags = DIAGS_NULL;
    int r = policy_load(paths, list->count, &policy, &diags);
    if (r == 0) {
        core_policy_set(core, &policy);
        core_event(core, EVENT_POLICY, NULL, "the policy was loaded: %u quotas, %u groups",
                   core->policy.quota_count, core->policy.group_count);
        log_info("policy", "loaded %u quotas and %u groups", core->policy.quota_count,
                 core->policy.group_count);
    } else {
        const char *text =
            diags.count ? diag_format(&diags.items[0], core->policy_error, sizeof core->policy_error) : "";
        core_event(core, EVENT_POLICY, NULL, "the policy was rejected, the one before stays in force: %s",
                   text);
        log_error("policy", "%s; the policy before stays in force", text);
    }
    diags_fini(&diags);
}

/* ---- runs ---- */

struct plan_run *core_run_free(struct plan_run *run)
{
    if (!run)
        return NULL;
    run->gather = gather_free(run->gather);
    if (run->policy)
        policy_fini(run->policy);
    free(run->policy);
    plan_fini(&run->plan);
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
    run->id = ++core->run_next_id;
    run->purpose = purpose;
    run->request_id = request_id;
    list_append(&core->runs, &run->all);
    return run;
}

static enum request_kind run_request(const struct plan_run *run)
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

static void run_fail(struct plan_run *run, const char *text)
{
    struct core *core = run->core;
    if (run->request_id)
        core_api_answer(core, run->request_id, run_request(run), RESPONSE_FAILED, text, strlen(text));
    else
        log_warn("limit", "%s, trying again at the next scan", text);
    core_run_free(run);
}

static struct plan_run *first_gathering(struct core *core)
{
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        if (run->gather)
            return run;
    return NULL;
}

static bool on_gather_slice(void *owner, uint64_t until_ns)
{
    struct core *core = owner;
    struct plan_run *run = first_gathering(core);
    if (run && !gather_step(run->gather, until_ns))
        core_run_planned(core, run);
    return first_gathering(core) != NULL;
}

void core_plan_all(struct core *core, enum plan_purpose purpose, uint64_t request_id)
{
    struct plan_run *run = run_new(core, purpose, request_id);
    if (run)
        run->gather = gather_all(core, &core->policy);
    if (!run || !run->gather) {
        log_error("limit", "out of memory for a plan, trying again at the next scan");
        core_run_free(run);
        return;
    }
    loop_job_start(&core->gather_job);
}

void core_plan_policy(struct core *core, struct policy *policy, uint64_t request_id)
{
    struct plan_run *run = run_new(core, PURPOSE_PLAN, request_id);
    if (run)
        run->policy = malloc(sizeof *run->policy);
    if (run && run->policy) {
        *run->policy = *policy;
        *policy = POLICY_NULL;
        run->gather = gather_all(core, run->policy);
    }
    if (!run || !run->gather) {
        static const char text[] = "out of memory for a plan";
        core_api_answer(core, request_id, REQUEST_PLAN, RESPONSE_FAILED, text, strlen(text));
        core_run_free(run);
        return;
    }
    loop_job_start(&core->gather_job);
}

struct subject *core_subject_at(const struct core *core, const char *path)
{
    struct group *group = group_tree_find(&core->tree, path);
    return group ? group->owner : NULL;
}

/* A refusal is told once, not at each plan that meets it again, and not of a group that is still being made:
   it may have appeared in one hierarchy and not yet in the next. */
static void tell_refusals(struct core *core, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->refusal_count; i++) {
        const struct plan_refusal *refusal = &plan->refusals[i];
        const char *why = plan_text(plan, refusal->why_off);
        struct subject *subject = core_subject_at(core, plan_text(plan, refusal->path_off));
        uint64_t bit = UINT64_C(1) << ((map_hash(why, strlen(why)) + refusal->knob) % 64);
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
        return r < 0 ? r : -ENOTCONN;
    run->sent = true;
    core->plans++;
    for (uint32_t i = 0; i < run->plan.row_count; i++) {
        struct subject *subject = core_subject_at(core, plan_text(&run->plan, run->plan.rows[i].path_off));
        if (subject)
            subject->planning++;
    }
    return 0;
}

static void run_answer_empty(struct plan_run *run)
{
    struct plan_outcomes none = PLAN_OUTCOMES_NULL;
    if (run->request_id)
        core_api_answer_plan(run->core, run->request_id, run_request(run), &run->plan,
                             run->purpose == PURPOSE_PLAN ? NULL : &none);
    core_run_free(run);
}

void core_run_planned(struct core *core, struct plan_run *run)
{
    int r = gather_plan(run->gather, run->purpose == PURPOSE_RELEASE, &run->plan);
    if (r == 0 && run->purpose != PURPOSE_PLAN)
        gather_tell(run->gather);
    run->gather = gather_free(run->gather);
    if (r < 0) {
        run_fail(run, "out of memory for a plan");
        return;
    }
    if (run->purpose == PURPOSE_PLAN) {
        run_answer_empty(run);
        core_flush(core);
        return;
    }
    tell_refusals(core, &run->plan);
    if (run->purpose == PURPOSE_GROUPS)
        core_drift_filter(core, &run->plan);
    if (run->plan.row_count == 0 || (!core->settings->enforce && !run->request_id)) {
        run_answer_empty(run);
    } else if (!core->settings->enforce) {
        run_fail(run,
                 "'enforce: off' stands in masu.yaml: nothing is written; set it to 'on' and restart masud");
    } else {
        r = send_plan(core, run);
        if (r < 0)
            run_fail(run, r == -ENOTCONN ? "the enforcer is not there at the moment" : strerror(-r));
    }
    core_flush(core);
}

void core_plan_subject(struct core *core, struct subject *subject)
{
    if (!core->found_known || !core->scanned_once)
        return; /* everything is planned as soon as both are there */
    if (subject->planning > 0) {
        subject->replan = true;
        return;
    }
    struct plan_run *run = run_new(core, PURPOSE_GROUPS, 0);
    if (run)
        run->gather = gather_one(core, &core->policy, subject->group);
    if (!run || !run->gather) {
        log_warn("limit", "out of memory for the plan of '%s', trying again at the next scan",
                 subject->identity.path);
        core_run_free(run);
        return;
    }
    while (gather_step(run->gather, UINT64_MAX))
        continue;
    core_run_planned(core, run);
    subject->drift_pending = false;
}

int core_limits_start(struct core *core)
{
    core_policy_load(core);
    return loop_job_init(&core->gather_job, core->loop, on_gather_slice, core);
}

void core_limits_stop(struct core *core)
{
    loop_job_fini(&core->gather_job);
    struct plan_run *run;
    LIST_FOR_EACH(run, &core->runs, struct plan_run, all)
        core_run_free(run);
    policy_fini(&core->policy);
    size_t cursor = 0;
    for (const struct map_entry *e; (e = map_next(&core->found, &cursor));)
        free(e->value);
    map_fini(&core->found);
}

/* ---- births ---- */

static void take_found(struct core *core, struct subject *subject)
{
    struct knob_set *found = map_remove_str(&core->found, subject->identity.path);
    if (found)
        subject->found = *found;
    free(found);
}

void core_limit_born(struct core *core, struct subject *subject)
{
    take_found(core, subject);
    find_quota(core, subject);
    core_publish_view(core, subject);
    if (!core->scanned_once || !subject->quota)
        return;
    core_settle_begin(core, subject);
    core_plan_subject(core, subject);
}

void core_limit_grown(struct core *core, struct subject *subject)
{
    if (!subject->quota)
        return;
    if (core->scanned_once && !subject->settle_end_ns)
        core_settle_begin(core, subject);
    core_plan_subject(core, subject);
}

void core_limit_gone(struct core *core, struct subject *subject)
{
    (void)core;
    loop_timer_fini(&subject->settle_timer);
}
