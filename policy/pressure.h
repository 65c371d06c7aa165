#pragma once
/*
 * One state machine per container: signals of one second in, level out. Pure, on whatever clock the caller has. medium and
 * critical need two independent signals, so that streaming through the page cache never pages anyone.
 */

#include "model/level.h"
#include <stdbool.h>
#include <stdint.h>

struct pressure_signals {
    uint64_t now_ns;
    bool has_psi;
    uint64_t psi_some_usec, psi_full_usec; /* memory.pressure totals, raw counters */
    uint64_t limit_hits, oom_kills;        /* raw counters */
    bool has_refaults;
    uint64_t refaults;                     /* raw counter */
    bool has_reclaim;
    uint64_t scanned, reclaimed;           /* raw counters, v2 */
    bool has_limit;
    uint64_t limit_bytes, usage_bytes;
    uint64_t unreclaimable_bytes;          /* anon + kernel + unevictable, what reclaim cannot take without swap */
    bool v1_low, v1_medium, v1_critical;   /* an eventfd of that level fired since the last step */
};

struct pressure_state {
    enum level level;
    uint64_t since_ns;       /* when the level was entered */
    uint64_t last_seen_ns;   /* when signals last justified the level (for the hold) */
    struct pressure_signals last;
    bool primed;             /* last is filled */
    double growth_bytes_per_s; /* of unreclaimable, smoothed */
    unsigned strong_steps;   /* consecutive steps that asked for more than the present level */
};
#define PRESSURE_STATE_NULL ((struct pressure_state){0})

struct pressure_rules {
    uint64_t hold_ns; /* a level is left only after this long below it */
};
#define PRESSURE_RULES_DEFAULT ((struct pressure_rules){.hold_ns = UINT64_C(10000000000)})

/* One step. Returns true when the level changed; @ret_why gets one sentence naming the signals ("some 12 % and 40 refaults/s"). */
bool pressure_step(struct pressure_state *state, const struct pressure_rules *rules, const struct pressure_signals *now,
                   char *ret_why, unsigned long why_size);
