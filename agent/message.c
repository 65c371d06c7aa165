#include "agent/message.h"

enum {
    PARENT = ROLE_BIT(ROLE_PARENT),
    CORE = ROLE_BIT(ROLE_CORE),
    ENFORCER = ROLE_BIT(ROLE_ENFORCER),
    ARCHIVER = ROLE_BIT(ROLE_ARCHIVER),
    GATEWAY = ROLE_BIT(ROLE_GATEWAY),
    COURIER = ROLE_BIT(ROLE_COURIER),
    READER = ROLE_BIT(ROLE_READER),
    ANY = ROLE_BIT(ROLE_N) - 1,
};

struct message_kind {
    const char *name;
    unsigned from, to; /* role bits */
    uint32_t body;
    unsigned fds;
    const char *help;
};

static const struct message_kind kinds[MESSAGE_N] = {
#define MESSAGE(id, ...) [MESSAGE_##id] = {.name = #id, __VA_ARGS__},
#include "agent/message.def"
#undef MESSAGE
};

const char *message_name(uint32_t type)
{
    return type < MESSAGE_N && kinds[type].name ? kinds[type].name : "?";
}

bool message_fits(const struct channel_message *message, enum role_id from, enum role_id to)
{
    if (message->type >= MESSAGE_N)
        return false;
    const struct message_kind *kind = &kinds[message->type];
    return (kind->from & ROLE_BIT(from)) && (kind->to & ROLE_BIT(to)) && message->len == kind->body &&
           message->fd_count <= kind->fds;
}
