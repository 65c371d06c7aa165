#include "model/level.h"

const char *level_name(enum level level)
{
    static const char *const names[LEVEL_N] = {
        [LEVEL_NONE] = "none",         [LEVEL_LOW] = "low", [LEVEL_MEDIUM] = "medium",
        [LEVEL_CRITICAL] = "critical", [LEVEL_OOM] = "oom",
    };
    return (unsigned)level < LEVEL_N ? names[level] : "unknown";
}
