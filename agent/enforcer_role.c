/* The enforcer's process: plans come in, outcomes go out; one at a time, since it may block in the kernel. */

#include "agent/enforcer.h"
#include "agent/role.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/memfd.h"
#include "base/str.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLAN_BYTES_MAX = 64 << 20, DIR_MAX = SETTING_PATH_MAX + 16 };

struct enforcer_role {
    struct role_context *context;
    struct cgroup_host host;
    struct enforcer *enforcer;
};

/* Sends @bytes as a sealed memfd. */
static void send_bytes(struct enforcer_role *role, struct link_letter *letter, const struct buf *bytes)
{
    int r = buf_error(bytes);
    CLEANUP_FD int fd = r ? r : memfd_seal_bytes(message_name(letter->type), bytes->data, bytes->len);
    if (fd >= 0) {
        letter->fds = &fd;
        letter->fd_count = 1;
        r = role_send(role->context, ROLE_CORE, letter);
    } else {
        r = fd;
    }
    if (r == ROLE_ABSENT)
        return; /* core died meanwhile: the new one reads what is in force */
    if (r)
        log_error("enforcer", "the answer %s does not reach core (%s), it will plan again",
                  message_name(letter->type), r < 0 ? strerror(-r) : "queue full");
}

/* Every row failed with @error. */
static int all_failed(const struct plan *plan, int error, struct plan_outcomes *ret)
{
    ret->items = calloc(plan->row_count ? plan->row_count : 1, sizeof *ret->items);
    if (!ret->items)
        return -ENOMEM;
    ret->count = plan->row_count;
    for (uint32_t i = 0; i < ret->count; i++)
        ret->items[i].error = error;
    return 0;
}

static struct message_plan_done summary(const struct plan *plan, const struct plan_outcomes *outcomes)
{
    struct message_plan_done done = {0};
    for (uint32_t i = 0; i < outcomes->count; i++) {
        if (!done.error)
            done.error = outcomes->items[i].error;
        done.written +=
            plan->rows[i].kind == PLAN_WRITE && !outcomes->items[i].error && !outcomes->items[i].undone;
    }
    return done;
}

static int read_plan(const struct channel_message *message, struct plan *ret)
{
    struct memfd_view view CLEANUP(memfd_view_fini) = MEMFD_VIEW_NULL;
    int r = message->fd_count == 1 ? memfd_map(message->fds[0], PLAN_BYTES_MAX, &view) : -EBADMSG;
    return r ? r : plan_decode(view.bytes, view.len, ret);
}

static void on_plan(struct enforcer_role *role, const struct channel_message *message)
{
    struct plan plan = PLAN_NULL;
    struct plan_outcomes outcomes = PLAN_OUTCOMES_NULL;
    int r = read_plan(message, &plan);
    if (r)
        log_error("enforcer", "a plan cannot be read (%s), nothing is written", strerror(-r));
    else if ((r = enforcer_execute(role->enforcer, &plan, &outcomes)) != 0)
        log_error("enforcer", "a plan of %u rows cannot be carried out (%s), nothing is written",
                  plan.row_count, strerror(-r));
    if (r && all_failed(&plan, r, &outcomes) != 0)
        log_error("enforcer", "out of memory, core hears of no outcome");
    struct message_plan_done done = summary(&plan, &outcomes);
    if (r)
        done.error = r;
    struct buf bytes CLEANUP(buf_fini) = BUF_NULL;
    plan_outcomes_encode(&outcomes, &bytes);
    struct link_letter letter = {
        .type = MESSAGE_PLAN_DONE, .id = message->id, .body = &done, .len = sizeof done};
    send_bytes(role, &letter, &bytes);
    plan_outcomes_fini(&outcomes);
    plan_fini(&plan);
}

static void on_found(struct enforcer_role *role, const struct channel_message *message)
{
    struct plan found = PLAN_NULL;
    struct buf bytes CLEANUP(buf_fini) = BUF_NULL;
    int r = enforcer_found(role->enforcer, &found);
    if (r) {
        log_error("enforcer", "the found values cannot be told (%s), core waits for them", strerror(-r));
        return;
    }
    plan_encode(&found, &bytes);
    struct link_letter letter = {.type = MESSAGE_FOUND_VALUES, .id = message->id};
    send_bytes(role, &letter, &bytes);
    plan_fini(&found);
}

static void on_message(void *owner, enum role_id from, struct channel_message *message)
{
    if (from != ROLE_CORE)
        return;
    if (message->type == MESSAGE_PLAN)
        on_plan(owner, message);
    else if (message->type == MESSAGE_FOUND)
        on_found(owner, message);
}

static int start(struct enforcer_role *role)
{
    char dir[DIR_MAX];
    int r = cgroup_host_open("", &role->host);
    if (r) {
        log_error("enforcer", "no cgroup hierarchy can be opened (%s), the enforcer ends", strerror(-r));
        return r;
    }
    (void)str_format(dir, sizeof dir, "%s/enforcer", role->context->settings->run_dir);
    r = enforcer_open(&role->host, dir, NULL, &role->enforcer);
    if (r) {
        log_error("enforcer", "'%s' cannot be used (%s), the enforcer ends", dir, strerror(-r));
        return r;
    }
    unsigned undone = enforcer_undone_at_start(role->enforcer);
    if (undone)
        log_warn("enforcer",
                 "the last enforcer was killed within %u groups, what it had written there is undone",
                 undone);
    return 0;
}

int enforcer_main(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = on_message};
    struct enforcer_role role = {.context = context, .host = CGROUP_HOST_NULL};
    int code = 1;
    if (start(&role) == 0) {
        role_handle(context, &handlers, &role);
        code = loop_run(context->loop);
    }
    enforcer_close(role.enforcer);
    cgroup_host_close(&role.host);
    return code;
}
