#pragma once
/* The one vocabulary of memory pressure. */

enum level {
    LEVEL_NONE = 0,
    LEVEL_LOW = 1,
    LEVEL_MEDIUM = 2,
    LEVEL_CRITICAL = 3,
    LEVEL_OOM = 4, /* the kernel killed for memory within the hold time */
    LEVEL_N,
};

/* "none", "low", "medium", "critical", "oom". */
const char *level_name(enum level level);
