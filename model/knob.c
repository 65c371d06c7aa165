#include "model/knob.h"
#include "base/str.h"
#include "base/units.h"
#include <errno.h>
#include <string.h>

enum {
    PERIOD_DEFAULT_USEC = 100000, /* the kernel's default (kernel/sched/fair.c, default_cfs_period) */
    PPM = 1000000,
    WEIGHT_MIN = 1,
    WEIGHT_MAX = 10000,
    SHARES_PER_100 = 1024,
    SHARES_MIN = 2,      /* kernel/sched/sched.h, MIN_SHARES */
    SHARES_MAX = 262144, /* MAX_SHARES */
};

const struct knob knobs[KNOB_N] = {
#define KNOB(id, ...) [KNOB_##id] = {__VA_ARGS__},
#include "model/knob.def"
#undef KNOB
};

int knob_find(const char *key)
{
    for (int i = 0; i < KNOB_N; i++)
        if (strcmp(knobs[i].key, key) == 0)
            return i;
    return -1;
}

uint32_t knob_companions(uint32_t set)
{
    static const uint32_t bundles[] = {
        UINT32_C(1) << KNOB_CPU_BANDWIDTH | UINT32_C(1) << KNOB_CPU_PERIOD | UINT32_C(1) << KNOB_CPU_BURST,
        UINT32_C(1) << KNOB_MEMORY_LIMIT | UINT32_C(1) << KNOB_MEMORY_SWAP,
    };
    for (size_t i = 0; i < ARRAY_LEN(bundles); i++)
        if (set & bundles[i])
            set |= bundles[i];
    return set;
}

/* The first place whose setting is not before (knob, device). */
static uint32_t find_place(const struct knob_set *set, enum knob_id knob, uint32_t device)
{
    uint32_t i = 0;
    for (; i < set->count; i++) {
        const struct knob_setting *s = &set->settings[i];
        if (s->knob > knob || (s->knob == knob && s->device >= device))
            break;
    }
    return i;
}

static bool is_at(const struct knob_set *set, uint32_t place, enum knob_id knob, uint32_t device)
{
    return place < set->count && set->settings[place].knob == knob && set->settings[place].device == device;
}

const struct knob_setting *knob_set_get(const struct knob_set *set, enum knob_id knob, uint32_t device)
{
    uint32_t place = find_place(set, knob, device);
    return is_at(set, place, knob, device) ? &set->settings[place] : NULL;
}

int knob_set_put(struct knob_set *set, enum knob_id knob, uint32_t device, uint64_t value)
{
    uint32_t place = find_place(set, knob, device);
    if (!is_at(set, place, knob, device)) {
        if (set->count == KNOB_SET_MAX)
            return -ENOSPC;
        struct knob_setting *at = &set->settings[place];
        memmove(at + 1, at, (set->count - place) * sizeof *at);
        set->count++;
    }
    set->settings[place] = (struct knob_setting){.knob = (uint16_t)knob, .device = device, .value = value};
    return 0;
}

void knob_set_remove(struct knob_set *set, enum knob_id knob, uint32_t device)
{
    uint32_t place = find_place(set, knob, device);
    if (!is_at(set, place, knob, device))
        return;
    struct knob_setting *at = &set->settings[place];
    set->count--;
    memmove(at, at + 1, (set->count - place) * sizeof *at);
}

static void format_cores(uint64_t quota_usec, uint64_t period_usec, char *buf, size_t size)
{
    char number[UNITS_TEXT_MAX];
    uint64_t period = period_usec ? period_usec : PERIOD_DEFAULT_USEC;
    uint64_t ppm = (uint64_t)((unsigned __int128)quota_usec * PPM / period);
    str_format(buf, size, "%s %s", units_format_cores(ppm, number), ppm == PPM ? "core" : "cores");
}

const char *knob_format(enum knob_id id, uint64_t value, uint64_t period_usec, char *buf, size_t size)
{
    char text[UNITS_TEXT_MAX];
    if (value == KNOB_UNLIMITED) {
        str_copy(buf, size, "unlimited");
        return buf;
    }
    switch (knobs[id].unit) {
    case KNOB_CORES:
        format_cores(value, period_usec, buf, size);
        break;
    case KNOB_DURATION:
        if (__builtin_mul_overflow(value, 1000, &value))
            value = UINT64_MAX;
        str_copy(buf, size, units_format_duration(value, text));
        break;
    case KNOB_BYTES:
        str_copy(buf, size, units_format_bytes(value, text));
        break;
    case KNOB_BYTES_RATE:
        str_copy(buf, size, units_format_bytes_rate(value, text));
        break;
    case KNOB_WEIGHT:
    case KNOB_COUNT:
        str_format(buf, size, "%llu", (unsigned long long)value);
        break;
    case KNOB_COUNT_RATE:
        str_format(buf, size, "%llu/s", (unsigned long long)value);
        break;
    }
    return buf;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

uint64_t knob_weight_to_shares(uint64_t weight)
{
    weight = clamp(weight, WEIGHT_MIN, WEIGHT_MAX);
    return clamp((weight * SHARES_PER_100 + 50) / 100, SHARES_MIN, SHARES_MAX);
}

uint64_t knob_shares_to_weight(uint64_t shares)
{
    shares = clamp(shares, SHARES_MIN, SHARES_MAX);
    return clamp((shares * 100 + SHARES_PER_100 / 2) / SHARES_PER_100, WEIGHT_MIN, WEIGHT_MAX);
}
