/*
 * Requests that come through the gateway. What changes something carries the client's own socket: its
 * credentials are read here, so that the gateway, which talks to the network, cannot ask in root's name.
 */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void core_api_answer(struct core *core, uint64_t request_id, enum request_kind kind,
                     enum response_status status, const void *payload, size_t len)
{
    struct message_response response = {.status = status, .kind = kind};
    CLEANUP_FD int fd = memfd_seal_bytes("response", payload, len);
    struct link_letter letter = {
        .type = MESSAGE_RESPONSE,
        .id = request_id,
        .body = &response,
        .len = sizeof response,
        .fds = &fd,
        .fd_count = fd >= 0,
    };
    int r = role_send(core->role, ROLE_GATEWAY, &letter);
    if (r != ROLE_SENT)
        log_warn("api", "an answer did not reach the gateway (%d), the client will time out", r);
}

static void put_sized(struct buf *out, const struct buf *part)
{
    uint64_t len = part->len;
    buf_append(out, &len, sizeof len);
    buf_append(out, part->data, part->len);
    if (part->error)
        out->error = part->error;
}

void core_api_answer_plan(struct core *core, uint64_t request_id, enum request_kind kind,
                          const struct plan *plan, const struct plan_outcomes *outcomes)
{
    struct buf payload CLEANUP(buf_fini) = BUF_NULL;
    struct buf part CLEANUP(buf_fini) = BUF_NULL;
    plan_encode(plan, &part);
    put_sized(&payload, &part);
    if (outcomes) {
        buf_clear(&part);
        plan_outcomes_encode(outcomes, &part);
        put_sized(&payload, &part);
    }
    static const char text[] = "out of memory for the answer";
    if (buf_error(&payload))
        core_api_answer(core, request_id, kind, RESPONSE_FAILED, text, strlen(text));
    else
        core_api_answer(core, request_id, kind, RESPONSE_OK, payload.data, payload.len);
}

static void answer_text(struct core *core, const struct channel_message *message, enum request_kind kind,
                        enum response_status status, const char *text)
{
    core_api_answer(core, message->id, kind, status, text, strlen(text));
}

/* The policy on disk. On failure the client is answered with every diag, one per line. */
static bool load_for_client(struct core *core, const struct channel_message *message, enum request_kind kind,
                            struct policy *ret)
{
    struct diags diags = DIAGS_NULL;
    int r = core_policy_read(core, ret, &diags);
    if (r < 0) {
        struct buf text CLEANUP(buf_fini) = BUF_NULL;
        char line[DIAG_FILE_MAX + DIAG_TEXT_MAX + 64];
        for (size_t i = 0; i < diags.count; i++)
            buf_printf(&text, "%s\n", diag_format(&diags.items[i], line, sizeof line));
        answer_text(core, message, kind, RESPONSE_INVALID,
                    text.data ? text.data : "the policy cannot be read");
    }
    diags_fini(&diags);
    return r == 0;
}

static bool client_is_root(const struct channel_message *message)
{
    struct ucred credentials;
    socklen_t len = sizeof credentials;
    return message->fd_count == 1 &&
           getsockopt(message->fds[0], SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0 &&
           credentials.uid == 0;
}

static void explain(struct core *core, const struct channel_message *message, const char *path)
{
    const struct subject *subject = core_subject_at(core, path);
    if (!subject) {
        answer_text(core, message, REQUEST_EXPLAIN, RESPONSE_MISSING, "no such group");
        return;
    }
    struct buf text CLEANUP(buf_fini) = BUF_NULL;
    char why[256];
    buf_printf(&text, "%s is %s '%s'\n", path, subject->identity.runtime, subject->identity.name);
    if (core->released)
        buf_puts(&text, "everything was released: no quota holds until 'masu apply'\n");
    for (unsigned i = 0; i < core->policy.quota_count; i++) {
        const struct quota *quota = &core->policy.quotas[i];
        bool fits = policy_explain(quota, &subject->identity, why, sizeof why);
        if (subject->created && quota == subject->quota)
            str_copy(why, sizeof why, "the policy makes this group with it");
        const char *mark = quota == subject->quota ? "*" : fits ? "-" : " ";
        buf_printf(&text, "%s %s (%s:%u): %s\n", mark, quota->name, quota->file, quota->line, why);
    }
    if (!subject->quota)
        buf_printf(
            &text, "no quota holds here%s\n",
            core_untouchable(core, path)
                ? ": it is masu's own group, PID 1's, or above one of them, and no quota names it exactly"
                : "");
    answer_text(core, message, REQUEST_EXPLAIN, RESPONSE_OK, text.data ? text.data : "out of memory");
}

static void request_plan(struct core *core, const struct channel_message *message)
{
    struct policy policy = POLICY_NULL;
    if (load_for_client(core, message, REQUEST_PLAN, &policy))
        core_plan_policy(core, &policy, message->id);
}

static void request_apply(struct core *core, const struct channel_message *message)
{
    struct policy policy = POLICY_NULL;
    if (!core->settings->enforce) {
        answer_text(core, message, REQUEST_APPLY, RESPONSE_FAILED, core_enforce_is_off);
        return;
    }
    if (!load_for_client(core, message, REQUEST_APPLY, &policy))
        return;
    core_policy_set(core, &policy);
    core_event(core, EVENT_POLICY, NULL, "the policy was applied; quotas: %u, groups to make: %u",
               core->policy.quota_count, core->policy.group_count);
    core_plan_all(core, PURPOSE_APPLY, message->id);
}

/* Giving back is planned with the old policy set aside: nothing is managed until it is applied or loaded
 * again. */
static void request_release(struct core *core, const struct channel_message *message)
{
    core->released = true;
    core_publish_status(core); /* a core that follows this one goes by it */
    core_runs_forget(core);
    struct subject *subject;
    LIST_FOR_EACH(subject, &core->subjects, struct subject, all)
        if (subject->group && subject->quota) {
            subject->quota = NULL;
            subject->wanted = (struct knob_set){0};
            subject->replan = subject->planning > 0; /* what is on its way is given back too */
            core_publish_view(core, subject);
        }
    core_event(core, EVENT_POLICY, NULL, "every limit is given back; 'masu apply' takes hold again");
    core_plan_all(core, PURPOSE_RELEASE, message->id);
}

void core_api_request(struct core *core, struct channel_message *message)
{
    struct message_request request;
    if (message->len != sizeof request)
        return;
    memcpy(&request, message->body, sizeof request);
    request.path[sizeof request.path - 1] = '\0';
    enum request_kind kind = (enum request_kind)request.kind;
    bool changes = kind == REQUEST_APPLY || kind == REQUEST_RELEASE || kind == REQUEST_RELOAD;
    if (changes && !client_is_root(message)) {
        answer_text(core, message, kind, RESPONSE_DENIED, "only root may change limits");
        return;
    }
    switch (kind) {
    case REQUEST_PLAN:
        request_plan(core, message);
        break;
    case REQUEST_APPLY:
    case REQUEST_RELOAD:
        request_apply(core, message);
        break;
    case REQUEST_RELEASE:
        request_release(core, message);
        break;
    case REQUEST_EXPLAIN:
        explain(core, message, request.path);
        break;
    }
    core_flush(core);
}
