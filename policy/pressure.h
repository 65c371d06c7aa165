#pragma once
/*
 * One state machine per container: signals of one second in, level out. Pure, on whatever clock the caller
 * has. medium and critical need two independent signals, so that streaming through the page cache never pages
 * anyone.
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
    uint64_t refaults; /* raw counter */
    bool has_reclaim;
    uint64_t scanned, reclaimed; /* raw counters, v2 */
    bool has_limit;
    uint64_t limit_bytes, usage_bytes;
    uint64_t unreclaimable_bytes; /* anon + kernel + unevictable, what reclaim cannot take without swap */
    bool v1_low, v1_medium, v1_critical; /* an eventfd of that level fired since the last step */
};

struct pressure_state {
    enum level level;
    uint64_t since_ns;          /* when the level was entered */
    uint64_t until_ns[LEVEL_N]; /* each level is held until then */
    uint64_t asked_ns[LEVEL_N]; /* since when slow signs have asked for it without a break; 0: they do not */
    struct pressure_signals last; /* of the step before */
    bool primed;                  /* last is filled */

    /* smoothed: shares of time, and amounts per second */
    double some, full, refaults_per_s, scanned_per_s, reclaimed_per_s;
    double growth_bytes_per_s;            /* of unreclaimable */
    uint64_t measured_ns, measured_bytes; /* where the growth was last measured */
    uint64_t growing_since_ns;            /* 0: it does not grow, or too slowly to matter */
    uint64_t growing_from_bytes;
    uint64_t hit_until_ns;      /* events count for a while after they fired */
    uint64_t event_until_ns[3]; /* v1 low, medium, critical */
};
#define PRESSURE_STATE_NULL ((struct pressure_state){0})

struct pressure_rules {
    uint64_t hold_ns[LEVEL_N]; /* a level is left only after this long below it */
};
/* low only informs: it is held so long that a job which reads its files in rounds makes one event, not one a
 * round. */
#define PRESSURE_RULES_DEFAULT                                                                               \
    ((struct pressure_rules){.hold_ns = {[LEVEL_LOW] = UINT64_C(60000000000),                                \
                                         [LEVEL_MEDIUM] = UINT64_C(10000000000),                             \
                                         [LEVEL_CRITICAL] = UINT64_C(10000000000),                           \
                                         [LEVEL_OOM] = UINT64_C(10000000000)}})

/*
 * One step, at any distance from the one before. Returns true when the level changed; @ret_why gets one
 * sentence naming the signals
 * ("some 12 % and 40 refaults/s"). The first step, and the first after a gap of more than 10 s, only
 * remembers where the counters stand; but an OOM kill found after a gap is an OOM kill.
 */
bool pressure_step(struct pressure_state *state, const struct pressure_rules *rules,
                   const struct pressure_signals *now, char *ret_why, unsigned long why_size);

/* Takes up a level of before a restart: it is held as if it had been justified just now. */
void pressure_resume(struct pressure_state *state, const struct pressure_rules *rules, enum level level,
                     uint64_t now_ns);

/*
 * v2 counts all of this in a group and once more in each one above it. What a group loses at a tighter limit
 * of its own is its own affair: those above are not blamed for it, and a kill is told where it happened, not
 * again above. What nobody below has told of, because it was not followed or is gone already, stays with the
 * group that counted it.
 */
struct pressure_below {
    struct pressure_signals told; /* counters only: by those below, since they are followed */
    uint64_t kills_seen, kills_ripe, ripen_ns;
    bool used; /* somebody below is followed */
};

/* Takes off @now what those below have told. Kills are held back until they had @wait_ns to tell theirs. */
void pressure_own(struct pressure_below *below, const struct pressure_state *state, uint64_t wait_ns,
                  struct pressure_signals *now);
/* Tells a group above what grew in the last step of the one below, whose state was @last before. */
void pressure_tell(struct pressure_below *above, const struct pressure_signals *last,
                   const struct pressure_state *state, bool tighter);

/* How soon the caller should look again because the memory grows so fast that the next regular sample may be
   too late; 0: no need. Between 50 ms and 500 ms. */
uint64_t pressure_look_again_ns(const struct pressure_state *state);
