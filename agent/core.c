/* The role's beginning and end, and whom it listens to. Start and stop are one mirrored list. */

#include "agent/core.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "collectors/runtime_index.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* The group of @pid in each hierarchy, from the lines "ID:controllers:path" of its cgroup file. */
static void read_own_groups(struct core *core, const char *proc, char own[HIERARCHIES_MAX][GROUP_PATH_MAX])
{
    char text[8192];
    if (fs_read_at(AT_FDCWD, proc, text, sizeof text) < 0)
        return;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        controllers++;
        for (unsigned h = 0; h < core->host.count; h++) {
            const struct hierarchy *hierarchy = &core->host.hierarchies[h];
            bool named = str_starts(controllers, "name=") && strcmp(controllers + 5, hierarchy->name) == 0;
            bool same = hierarchy->version == 1 && hierarchy->controllers[0] &&
                        strcmp(hierarchy->controllers, controllers) == 0;
            bool unified = hierarchy->version == 2 && controllers[0] == '\0';
            if (named || same || unified)
                str_copy(own[h], GROUP_PATH_MAX, path);
        }
    }
}

static void tell_role(struct core *core, const struct channel_message *message)
{
    struct message_ran ran;
    if (message->len != sizeof ran)
        return;
    memcpy(&ran, message->body, sizeof ran);
    if (ran.role < 0 || ran.role >= ROLE_N)
        return;
    char how[48];
    if (WIFSIGNALED(ran.status))
        str_format(how, sizeof how, "was killed by signal %d", WTERMSIG(ran.status));
    else
        str_format(how, sizeof how, "ended with status %d", WEXITSTATUS(ran.status));
    core_event(core, EVENT_ROLE, NULL, "%s (pid %d) %s and was started again", roles[ran.role].name,
               (int)ran.pid, how);
}

static void learn_roles(struct core *core, const struct channel_message *message)
{
    struct message_roles all;
    if (message->len != sizeof all)
        return;
    memcpy(&all, message->body, sizeof all);
    core->enforcer_pid = all.roles[ROLE_ENFORCER].pid;
}

static void on_reload_due(void *owner)
{
    struct core *core = owner;
    core->reload_next_ns = loop_now_ns(core->loop) + RELOAD_SPACING_NS;
    core_policy_load(core);
    core_plan_all(core, PURPOSE_START, 0);
    core_flush(core);
}

/* Signals that come faster than policies are read are one. */
static void reload(struct core *core)
{
    if (loop_now_ns(core->loop) >= core->reload_next_ns)
        on_reload_due(core);
    else
        loop_timer_arm_at(&core->reload_timer, core->reload_next_ns);
}

static void on_message(void *owner, enum role_id from, struct channel_message *message)
{
    struct core *core = owner;
    if (from == ROLE_PARENT && message->type == MESSAGE_RELOAD)
        reload(core);
    else if (from == ROLE_PARENT && message->type == MESSAGE_RAN)
        tell_role(core, message);
    else if (from == ROLE_PARENT && message->type == MESSAGE_ROLES)
        learn_roles(core, message);
    else if (from == ROLE_ENFORCER && message->type == MESSAGE_PLAN_DONE)
        core_plan_done(core, message);
    else if (from == ROLE_ENFORCER && message->type == MESSAGE_FOUND_VALUES)
        core_found_values(core, message);
    else if (from == ROLE_GATEWAY && message->type == MESSAGE_REQUEST)
        core_api_request(core, message);
    else
        log_debug("core", "%s from %s is not for core, left", message_name(message->type), roles[from].name);
    core_flush(core);
}

static void on_peer(void *owner, enum role_id peer)
{
    struct core *core = owner;
    if (peer == ROLE_ENFORCER && core->scanned_once && role_has_peer(core->role, ROLE_ENFORCER))
        core_enforcer_new(core);
}

static int core_start(struct core *core)
{
    core->started_wall_ns = clock_wall_ns();
    core->identity_paths = (struct identity_paths){
        .root = "",
        .lxc = core->settings->lxc_dir,
        .docker = core->settings->docker_dir,
        .index = runtime_index_new(),
    };
    if (!core->identity_paths.index)
        return -ENOMEM;
    int r = cgroup_host_open("", &core->host);
    if (r < 0) {
        log_error("core", "no cgroup hierarchy can be read: %s", strerror(-r));
        return r;
    }
    read_own_groups(core, "/proc/self/cgroup", core->untouchable[0]);
    read_own_groups(core, "/proc/1/cgroup", core->untouchable[1]);
    r = bus_writer_open(core->role->bus_fd, &core->bus);
    if (r < 0)
        return r;
    core_carry_read(core);
    core_publish_epoch(core);
    r = loop_timer_init(&core->reload_timer, core->loop, LOOP_NORMAL, on_reload_due, core);
    if (r == 0)
        r = core_limits_start(core);
    if (r == 0)
        r = core_sample_start(core);
    if (r == 0)
        r = core_tree_start(core);
    return r;
}

static void core_stop(struct core *core)
{
    struct subject *subject;
    LIST_FOR_EACH(subject, &core->subjects, struct subject, all)
        subject_free(subject);
    core_tree_stop(core);
    core_sample_stop(core);
    core_limits_stop(core);
    loop_timer_fini(&core->reload_timer);
    core_carry_stop(core);
    if (core->bus)
        core_flush(core);
    core->bus = bus_writer_close(core->bus);
    core->identity_paths.index = runtime_index_free(core->identity_paths.index);
    cgroup_host_close(&core->host);
    buf_fini(&core->frames);
}

int core_main(struct role_context *context)
{
    struct core *core = calloc(1, sizeof *core);
    if (!core)
        return EXIT_FAILURE;
    list_init(&core->subjects);
    list_init(&core->runs);
    core->role = context;
    core->loop = context->loop;
    core->settings = context->settings;
    const struct role_handlers handlers = {.on_message = on_message, .on_peer = on_peer};
    role_handle(context, &handlers, core);
    int r = core_start(core);
    int code = EXIT_FAILURE;
    if (r == 0)
        code = loop_run(context->loop);
    else
        log_error("core", "cannot start: %s", strerror(-r));
    core_stop(core);
    free(core);
    return code;
}
