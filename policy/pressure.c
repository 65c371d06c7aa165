#include "policy/pressure.h"

/*
 * Each step turns counters into smoothed rates, the rates into signs, and looks the signs up in one table:
 * what stands together asks for which level. A sign alone never asks for more than low, because each of them
 * has a harmless cause:
 *
 * - time lost: a reader of files at the limit reclaims for itself, and a writer waits for its own dirty pages
 *   (43 % and 64 % of the time, 64 MiB limit, Linux 6.18);
 * - failing reclaim: dirty pages cannot be taken at once, so v1 sends medium and critical for a mere writer;
 * - refaults: reading one large file in circles is refaults only;
 * - headroom: a heap of 90 % that does not move is what its owner bought;
 * - growth: every start is growth.
 *
 * Even two of them can be one cause. Time lost, failing reclaim and refaults all rise in a stream that
 * rewrites one file; so without much memory that reclaim cannot take (SQUEEZED) they count only as thrashing
 * looks: most of the time lost, refaults, and a reclaim that does not fail, for clean pages are easily taken.
 *
 * A swapless grower is killed within 20 ms of meeting its limit, while PSI, refaults and reclaim are still
 * near zero; before that it is known only by how much is left and how fast it goes. These two are independent
 * of each other, so they are the pair. Who starts by taking nine tenths at once cannot be told from it.
 *
 * Slow signs have to last (2 s, 4 s); those of a grower count at once. Shares follow with a time constant of
 * 1 s, growth with 0.2 s, whatever the spacing of the steps. Thresholds come from vmpressure (60/95 %), GLib
 * (70 ms in 2 s), oomd and lmkd.
 */

#include "base/attrs.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/units.h"
#include <stdio.h>
#include <string.h>

#define GAP_NS (10 * NSEC_PER_SEC)
#define EVENT_COUNTS_NS (2 * NSEC_PER_SEC)
#define RATE_TIME_S 1.0
#define GROWTH_TIME_S 0.2
#define GROWTH_MEASURE_NS (50 * NSEC_PER_MSEC)
#define WINDOW_PAGES_PER_S 512.0 /* below it vmpressure does not judge either */

enum {
    NO_PSI = 1 << 0,
    LOST = 1 << 1,      /* some time lost: 3.5 % */
    TIME = 1 << 2,      /* much: 10 % when squeezed, 20 % where no limit is known, else 60 % */
    FULL = 1 << 3,      /* nobody ran, 20 % of the time */
    FULL_HALF = 1 << 4, /* 50 % */
    ACTIVE = 1 << 5,    /* reclaim is at work here */
    FAILING = 1 << 6,   /* it takes at most 40 % of what it looks at */
    FAILED = 1 << 7,    /* at most 5 % */
    REFAULT = 1 << 8,   /* 100/s */
    SQUEEZED = 1 << 9,  /* 60 % of the limit cannot be reclaimed */
    FILLED = 1 << 10,   /* 85 % */
    SOON = 1 << 11,     /* growth has lasted a second and meets the limit before the sample after next */
    GROWING = 1 << 12,  /* meets the limit within 10 s; has taken 10 % of it, or lasted 3 s */
    CLOSE = 1 << 13,    /* within 3 s */
};

static const struct {
    enum level level;
    bool at_once; /* else it has to last */
    unsigned needs, forbids;
} askings[] = {
    {LEVEL_CRITICAL, true, FILLED | GROWING | CLOSE, 0},
    {LEVEL_CRITICAL, true, FILLED | GROWING | FAILED, 0},
    {LEVEL_CRITICAL, false, FULL | SQUEEZED | FAILING, 0},
    {LEVEL_CRITICAL, false, FULL | SQUEEZED | REFAULT, 0},
    {LEVEL_CRITICAL, false, FULL | FILLED, 0},
    {LEVEL_CRITICAL, false, FULL_HALF | TIME | REFAULT, FAILING},
    {LEVEL_CRITICAL, false, FILLED | FAILED | NO_PSI, 0},
    {LEVEL_MEDIUM, true, FILLED | GROWING, 0},
    {LEVEL_MEDIUM, true, SOON | GROWING, 0},
    {LEVEL_MEDIUM, false, TIME | SQUEEZED | FAILING, 0},
    {LEVEL_MEDIUM, false, TIME | SQUEEZED | REFAULT, 0},
    {LEVEL_MEDIUM, false, TIME | SQUEEZED | GROWING, 0},
    {LEVEL_MEDIUM, false, TIME | FILLED, 0},
    {LEVEL_MEDIUM, false, TIME | REFAULT, FAILING},
    {LEVEL_MEDIUM, false, FILLED | FAILING, 0},
    {LEVEL_MEDIUM, false, FILLED | REFAULT, 0},
    {LEVEL_MEDIUM, false, SQUEEZED | FAILING | GROWING, 0},
    {LEVEL_MEDIUM, false, SQUEEZED | FAILING | REFAULT | NO_PSI, 0},
    {LEVEL_LOW, true, LOST, 0},
    {LEVEL_LOW, true, ACTIVE, 0},
    {LEVEL_LOW, true, FAILING, 0},
    {LEVEL_LOW, true, REFAULT, 0},
    {LEVEL_LOW, true, FILLED, 0},
    {LEVEL_LOW, true, SQUEEZED | GROWING, 0},
};

static const uint64_t lasting_ns[LEVEL_N] = {
    [LEVEL_MEDIUM] = 2 * NSEC_PER_SEC,
    [LEVEL_CRITICAL] = 4 * NSEC_PER_SEC,
};

static double growth_of(uint64_t now, uint64_t before)
{
    return now > before ? (double)(now - before) : 0.0;
}

/* Moves @smoothed towards what was seen over @seconds. */
static void follow(double *smoothed, double amount, double seconds, double time_constant)
{
    *smoothed += (amount / seconds - *smoothed) * seconds / (seconds + time_constant);
}

static void follow_rates(struct pressure_state *state, const struct pressure_signals *now)
{
    const struct pressure_signals *last = &state->last;
    double seconds = (double)(now->now_ns - last->now_ns) / (double)NSEC_PER_SEC;
    follow(&state->some, growth_of(now->psi_some_usec, last->psi_some_usec) / 1e6, seconds, RATE_TIME_S);
    follow(&state->full, growth_of(now->psi_full_usec, last->psi_full_usec) / 1e6, seconds, RATE_TIME_S);
    follow(&state->refaults_per_s, growth_of(now->refaults, last->refaults), seconds, RATE_TIME_S);
    follow(&state->scanned_per_s, growth_of(now->scanned, last->scanned), seconds, RATE_TIME_S);
    follow(&state->reclaimed_per_s, growth_of(now->reclaimed, last->reclaimed), seconds, RATE_TIME_S);
}

static void note_events(struct pressure_state *state, const struct pressure_signals *now)
{
    const bool fired[] = {now->v1_low, now->v1_medium, now->v1_critical};
    for (unsigned i = 0; i < ARRAY_LEN(fired); i++)
        for (unsigned k = 0; fired[i] && k <= i; k++) /* a higher one says the lower ones too */
            state->event_until_ns[k] = now->now_ns + EVENT_COUNTS_NS;
    if (now->limit_hits > state->last.limit_hits)
        state->hit_until_ns = now->now_ns + EVENT_COUNTS_NS;
}

/* The growth of unreclaimable memory, measured over at least 50 ms: one huge page between two wake-ups is no
 * growth. */
static void note_growth(struct pressure_state *state, const struct pressure_signals *now)
{
    double seconds = (double)(now->now_ns - state->measured_ns) / (double)NSEC_PER_SEC;
    double grown = (double)now->unreclaimable_bytes - (double)state->measured_bytes;
    if (now->now_ns < state->measured_ns + GROWTH_MEASURE_NS)
        return;
    follow(&state->growth_bytes_per_s, grown, seconds, GROWTH_TIME_S);
    if (seconds >= 0.25 && grown / seconds < state->growth_bytes_per_s)
        state->growth_bytes_per_s = grown / seconds; /* what has stopped is over */
    bool growing = now->has_limit && state->growth_bytes_per_s >= 0.01 * (double)now->limit_bytes;
    if (!growing) {
        state->growing_since_ns = 0;
    } else if (!state->growing_since_ns) {
        state->growing_since_ns = now->now_ns;
        state->growing_from_bytes = state->measured_bytes;
    }
    state->measured_ns = now->now_ns;
    state->measured_bytes = now->unreclaimable_bytes;
}

/* At the present growth; negative when it does not grow fast enough to matter. */
static double seconds_to_limit(const struct pressure_state *state, const struct pressure_signals *now)
{
    double left = (double)now->limit_bytes - (double)now->unreclaimable_bytes;
    if (!state->growing_since_ns || !now->has_limit)
        return -1.0;
    return left > 0 ? left / state->growth_bytes_per_s : 0.0;
}

static unsigned memory_signs(const struct pressure_state *state, const struct pressure_signals *now)
{
    unsigned signs = 0;
    double held = now->has_limit && now->limit_bytes
                      ? (double)now->unreclaimable_bytes / (double)now->limit_bytes
                      : 0.0;
    double left_s = seconds_to_limit(state, now);
    uint64_t lasted_ns = state->growing_since_ns ? now->now_ns - state->growing_since_ns : 0;
    double grown = (double)now->unreclaimable_bytes - (double)state->growing_from_bytes;
    bool matters = lasted_ns >= 3 * NSEC_PER_SEC || grown >= 0.10 * (double)now->limit_bytes;
    bool growing = left_s >= 0.0 && left_s < 10.0 && matters;
    signs |= held >= 0.60 ? SQUEEZED : 0;
    signs |= held >= 0.85 ? FILLED : 0;
    signs |= growing ? GROWING : 0;
    signs |= growing && left_s < 3.0 ? CLOSE : 0;
    signs |= growing && left_s < 2.0 && lasted_ns >= NSEC_PER_SEC ? SOON : 0;
    return signs;
}

static unsigned reclaim_signs(const struct pressure_state *state, const struct pressure_signals *now)
{
    unsigned signs = 0;
    bool at_limit = now->now_ns < state->hit_until_ns || !now->has_limit;
    bool judged = now->has_reclaim && at_limit && state->scanned_per_s >= WINDOW_PAGES_PER_S;
    double failing = judged ? 1.0 - state->reclaimed_per_s / state->scanned_per_s : 0.0;
    signs |= judged || now->now_ns < state->event_until_ns[0] ? ACTIVE : 0;
    signs |= failing >= 0.60 || now->now_ns < state->event_until_ns[1] ? FAILING : 0;
    signs |= failing >= 0.95 || now->now_ns < state->event_until_ns[2] ? FAILED : 0;
    signs |= now->has_refaults && state->refaults_per_s >= 100.0 ? REFAULT : 0;
    return signs;
}

static unsigned time_signs(const struct pressure_state *state, const struct pressure_signals *now,
                           bool squeezed)
{
    unsigned signs = 0;
    double much = squeezed ? 0.10 : now->has_limit ? 0.60 : 0.20;
    if (!now->has_psi)
        return NO_PSI;
    signs |= state->some >= 0.035 ? LOST : 0;
    signs |= state->some >= much ? TIME : 0;
    signs |= state->full >= 0.20 ? FULL : 0;
    signs |= state->full >= 0.50 ? FULL_HALF : 0;
    return signs;
}

static unsigned read_signs(const struct pressure_state *state, const struct pressure_signals *now)
{
    unsigned signs = memory_signs(state, now) | reclaim_signs(state, now);
    return signs | time_signs(state, now, signs & SQUEEZED);
}

/* The level that the signs justify now; what has to last is remembered in the state. */
static enum level asked_level(struct pressure_state *state, unsigned signs, uint64_t now_ns)
{
    enum level at_once = LEVEL_NONE, lasting = LEVEL_NONE;
    for (size_t i = 0; i < ARRAY_LEN(askings); i++) {
        if ((signs & askings[i].needs) != askings[i].needs || (signs & askings[i].forbids))
            continue;
        if (askings[i].level > lasting)
            lasting = askings[i].level;
        if (askings[i].at_once && askings[i].level > at_once)
            at_once = askings[i].level;
    }
    for (unsigned level = LEVEL_MEDIUM; level <= LEVEL_CRITICAL; level++) {
        if (lasting < level)
            state->asked_ns[level] = 0;
        else if (!state->asked_ns[level])
            state->asked_ns[level] = now_ns;
        else if (level > at_once && now_ns - state->asked_ns[level] >= lasting_ns[level])
            at_once = (enum level)level;
    }
    return at_once;
}

/* ---- the sentence ------------------------------------------------------------------------------------ */

enum { PHRASES_MAX = 8, PHRASE_MAX = 80 };
struct phrases {
    char items[PHRASES_MAX][PHRASE_MAX];
    unsigned count;
};

#define PHRASE(p, ...)                                                                                       \
    do {                                                                                                     \
        if ((p)->count < PHRASES_MAX)                                                                        \
            snprintf((p)->items[(p)->count++], PHRASE_MAX, __VA_ARGS__);                                     \
    } while (0)

static void add_phrases(struct phrases *p, const struct pressure_state *state,
                        const struct pressure_signals *now, unsigned signs)
{
    char rate[UNITS_TEXT_MAX];
    if (signs & (LOST | TIME))
        PHRASE(p, "some %.0f %%", state->some * 100);
    if (signs & FULL)
        PHRASE(p, "full %.0f %%", state->full * 100);
    if (signs & REFAULT)
        PHRASE(p, "%.0f refaults/s", state->refaults_per_s);
    if (signs & FAILED)
        PHRASE(p, "reclaim finds almost nothing");
    else if (signs & FAILING)
        PHRASE(p, "reclaim finds little");
    else if (signs & ACTIVE)
        PHRASE(p, "reclaim at work");
    if (signs & (SQUEEZED | SOON) && now->limit_bytes)
        PHRASE(p, "%.0f %% of the limit cannot be reclaimed",
               100.0 * (double)now->unreclaimable_bytes / (double)now->limit_bytes);
    if (signs & GROWING)
        PHRASE(p, "growing by %s per second, full in %.1f s",
               units_format_bytes((uint64_t)state->growth_bytes_per_s, rate), seconds_to_limit(state, now));
}

static void join_phrases(const struct phrases *p, bool no_psi, char *buf, size_t size)
{
    size_t len = 0;
    if (size == 0)
        return;
    buf[0] = '\0';
    for (unsigned i = 0; i < p->count && len + 1 < size; i++) {
        const char *between = i == 0 ? "" : i + 1 == p->count ? " and " : ", ";
        len += (size_t)snprintf(buf + len, size - len, "%s%s", between, p->items[i]);
    }
    if (no_psi && len + 1 < size)
        snprintf(buf + len, size - len, " (no PSI here)");
}

static void say_why(const struct pressure_state *state, const struct pressure_signals *now, unsigned signs,
                    enum level before, char *buf, size_t size)
{
    struct phrases phrases = {.count = 0};
    uint64_t kills = now->oom_kills > state->last.oom_kills ? now->oom_kills - state->last.oom_kills : 0;
    if (state->level == LEVEL_OOM && kills)
        PHRASE(&phrases, "%llu process%s killed for memory", (unsigned long long)kills,
               kills == 1 ? "" : "es");
    else if (state->level < before)
        PHRASE(&phrases, "%s is over", level_name(before));
    if (state->level != LEVEL_OOM)
        add_phrases(&phrases, state, now, signs);
    join_phrases(&phrases, state->level > before && signs & NO_PSI, buf, size);
}

/* ---- the step ---------------------------------------------------------------------------------------- */

static void forget_rates(struct pressure_state *state)
{
    state->some = state->full = state->refaults_per_s = state->scanned_per_s = state->reclaimed_per_s = 0;
    state->growth_bytes_per_s = 0;
    state->growing_since_ns = state->hit_until_ns = 0;
    memset(state->event_until_ns, 0, sizeof state->event_until_ns);
    memset(state->asked_ns, 0, sizeof state->asked_ns);
}

/* The highest level that is justified or still held. */
static enum level held_level(struct pressure_state *state, const struct pressure_rules *rules,
                             enum level asked, uint64_t now_ns)
{
    enum level held = LEVEL_NONE;
    for (unsigned level = LEVEL_LOW; level < LEVEL_N; level++) {
        if (asked >= level)
            state->until_ns[level] = now_ns + rules->hold_ns[asked];
        if (asked >= level || now_ns < state->until_ns[level])
            held = (enum level)level;
    }
    return held;
}

bool pressure_step(struct pressure_state *state, const struct pressure_rules *rules,
                   const struct pressure_signals *now, char *ret_why, unsigned long why_size)
{
    enum level before = state->level, asked = LEVEL_NONE;
    unsigned signs = 0;
    bool gap = !state->primed || now->now_ns > state->last.now_ns + GAP_NS;
    if (gap) {
        forget_rates(state);
        state->measured_ns = now->now_ns;
        state->measured_bytes = now->unreclaimable_bytes;
    } else {
        if (now->now_ns > state->last.now_ns)
            follow_rates(state, now);
        note_events(state, now);
        note_growth(state, now);
        signs = read_signs(state, now);
        asked = asked_level(state, signs, now->now_ns);
    }
    if (state->primed && now->oom_kills > state->last.oom_kills)
        asked = LEVEL_OOM;
    state->level = held_level(state, rules, asked, now->now_ns);
    bool changed = state->level != before;
    if (changed) {
        state->since_ns = now->now_ns;
        say_why(state, now, signs, before, ret_why, why_size);
    }
    state->last = *now;
    state->primed = true;
    return changed;
}

void pressure_resume(struct pressure_state *state, const struct pressure_rules *rules, enum level level,
                     uint64_t now_ns)
{
    state->level = level;
    state->since_ns = now_ns;
    for (unsigned held = LEVEL_LOW; held <= level; held++)
        state->until_ns[held] = now_ns + rules->hold_ns[level];
}

/* ---- those above ------------------------------------------------------------------------------------- */

static uint64_t *counter_of(struct pressure_signals *signals, unsigned i)
{
    uint64_t *counters[] = {&signals->psi_some_usec, &signals->psi_full_usec, &signals->limit_hits,
                            &signals->refaults,      &signals->scanned,       &signals->reclaimed};
    return i < ARRAY_LEN(counters) ? counters[i] : NULL;
}

/* What those below tell comes up to a tick late, and some of it together: never less than before, so that
 * this makes no growth out of their rhythm. */
static uint64_t own_of(uint64_t last, uint64_t all, uint64_t told)
{
    uint64_t own = all > told ? all - told : 0;
    return own > last ? own : last;
}

void pressure_own(struct pressure_below *below, const struct pressure_state *state, uint64_t wait_ns,
                  struct pressure_signals *now)
{
    struct pressure_signals last = state->last;
    if (!below->used)
        return;
    for (unsigned i = 0; counter_of(now, i); i++)
        *counter_of(now, i) =
            own_of(*counter_of(&last, i), *counter_of(now, i), *counter_of(&below->told, i));
    if (!state->primed || now->now_ns >= below->ripen_ns) {
        below->kills_ripe = state->primed ? below->kills_seen : now->oom_kills;
        below->kills_seen = now->oom_kills;
        below->ripen_ns = now->now_ns + wait_ns;
    }
    now->oom_kills = own_of(last.oom_kills, below->kills_ripe, below->told.oom_kills);
}

void pressure_tell(struct pressure_below *above, const struct pressure_signals *last,
                   const struct pressure_state *state, bool tighter)
{
    struct pressure_signals before = *last, now = state->last;
    bool own_affair = tighter && now.now_ns < state->hit_until_ns;
    above->used = true;
    if (now.oom_kills > before.oom_kills)
        above->told.oom_kills += now.oom_kills - before.oom_kills;
    for (unsigned i = 0; own_affair && counter_of(&now, i); i++)
        if (*counter_of(&now, i) > *counter_of(&before, i))
            *counter_of(&above->told, i) += *counter_of(&now, i) - *counter_of(&before, i);
}

uint64_t pressure_look_again_ns(const struct pressure_state *state)
{
    const uint64_t least = GROWTH_MEASURE_NS, most = NSEC_PER_SEC / 2;
    double left_s = seconds_to_limit(state, &state->last);
    if (left_s < 0 || state->level >= LEVEL_CRITICAL)
        return 0;
    if (state->growing_since_ns == state->last.now_ns)
        return least; /* just noticed: how fast it really is, the idle time before hides */
    uint64_t eighth = left_s < 10.0 ? (uint64_t)(left_s / 8 * (double)NSEC_PER_SEC) : UINT64_MAX;
    return eighth > most ? 0 : eighth < least ? least : eighth;
}
