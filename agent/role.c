#include "agent/role.h"

#include "base/fs.h"

#include <linux/capability.h>
#include <string.h>

#define CAP(name) (UINT64_C(1) << CAP_##name)

/*
 * What core reads needs most of these; it writes nothing but eventfd registrations. The enforcer writes other
 * people's groups (DAC_OVERRIDE, CHOWN, FOWNER for those it makes and hands on), moves processes (SYS_NICE:
 * cpuset asks the scheduler's permission, security/commoncap.c cap_safe_nice) and opens fast PSI triggers
 * (SYS_RESOURCE).
 */
const struct role roles[ROLE_N] = {
    [ROLE_PARENT] = {.name = "parent", .file = ROLE_FILE_MASUD, .oom_score_adj = -900},
    [ROLE_CORE] = {.name = "core",
                   .file = ROLE_FILE_MASUD,
                   .capabilities = CAP(SYS_ADMIN) | CAP(BPF) | CAP(PERFMON) | CAP(NET_ADMIN) |
                                   CAP(SYS_PTRACE) | CAP(DAC_READ_SEARCH) | CAP(SYSLOG),
                   .oom_score_adj = -900,
                   .nice = -10,
                   .bus_write = true,
                   .peers = ROLE_BIT(ROLE_ENFORCER) | ROLE_BIT(ROLE_GATEWAY)},
    [ROLE_ENFORCER] = {.name = "enforcer",
                       .file = ROLE_FILE_MASUD,
                       .capabilities = CAP(DAC_OVERRIDE) | CAP(CHOWN) | CAP(FOWNER) | CAP(SYS_ADMIN) |
                                       CAP(SYS_NICE) | CAP(SYS_RESOURCE),
                       .oom_score_adj = -900,
                       .nice = -10,
                       .stops_after = ROLE_BIT(ROLE_CORE),
                       .peers = ROLE_BIT(ROLE_CORE)},
    [ROLE_ARCHIVER] = {.name = "archiver",
                       .file = ROLE_FILE_ARCHIVER,
                       .user = "masu",
                       .oom_score_adj = -500,
                       .stops_after = ROLE_BIT(ROLE_CORE),
                       .bus_read = true,
                       .wake = true,
                       .peers = ROLE_BIT(ROLE_GATEWAY)},
    [ROLE_GATEWAY] = {.name = "gateway",
                      .file = ROLE_FILE_GATEWAY,
                      .user = "masu-gw",
                      .oom_score_adj = -500,
                      .bus_read = true,
                      .wake = true,
                      .listen = true,
                      .peers = ROLE_BIT(ROLE_CORE) | ROLE_BIT(ROLE_ARCHIVER)},
    [ROLE_COURIER] = {.name = "courier",
                      .file = ROLE_FILE_GATEWAY,
                      .user = "masu-gw",
                      .oom_score_adj = -800,
                      .nice = -10,
                      .stops_after = ROLE_BIT(ROLE_CORE),
                      .bus_read = true,
                      .wake = true},
    [ROLE_READER] = {.name = "reader",
                     .file = ROLE_FILE_ARCHIVER,
                     .user = "masu-gw",
                     .on_demand = true,
                     .oom_score_adj = 500,
                     .nice = 5},
};

const char *role_file_name(enum role_file file)
{
    static const char *const names[ROLE_FILES] = {
        [ROLE_FILE_MASUD] = "masud",
        [ROLE_FILE_ARCHIVER] = "masu-archiver",
        [ROLE_FILE_GATEWAY] = "masu-gateway",
    };
    return names[file];
}

int role_find(const char *name)
{
    for (int i = 0; i < ROLE_N; i++)
        if (strcmp(roles[i].name, name) == 0)
            return i;
    return -1;
}

void role_handle(struct role_context *context, const struct role_handlers *handlers, void *owner)
{
    context->handlers = *handlers;
    context->owner = owner;
}

bool role_has_peer(const struct role_context *context, enum role_id peer)
{
    return context->links[peer] != NULL;
}

int role_send(struct role_context *context, enum role_id to, const struct link_letter *letter)
{
    if (!context->links[to])
        return ROLE_ABSENT;
    int r = link_send(context->links[to], letter);
    return r == LINK_CLOSED ? ROLE_ABSENT : r == LINK_FULL ? ROLE_FULL : r;
}
