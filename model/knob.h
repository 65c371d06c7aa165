#pragma once
/*
 * The knob table: one row per thing that can be limited. Generated from model/knob.def: enum knob_id,
 * knobs[].
 *
 * A value is a uint64_t in the knob's canonical unit, KNOB_UNLIMITED when there is no limit, always
 * compared by value and never by spelling. Where one write needs a companion, the plan row carries it
 * as @pair: cpu.bandwidth on v2 the period, memory.swap on v1 the memory limit.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KNOB_UNLIMITED UINT64_MAX

enum knob_id {
#define KNOB(id, ...) KNOB_##id,
#include "model/knob.def"
#undef KNOB
    KNOB_N,
};

/* How a policy writes the value and what a stored value counts. */
enum knob_unit {
    KNOB_CORES,      /* policy "1.5" or "150%"; stored: quota in microseconds per period */
    KNOB_DURATION,   /* policy "100ms"; stored: microseconds */
    KNOB_WEIGHT,     /* policy 1..10000 (v2 scale); stored: the v2 weight, on v1 the cpu.shares it becomes */
    KNOB_BYTES,      /* policy "2GiB"; stored: bytes, a multiple of the page */
    KNOB_BYTES_RATE, /* policy "50MB/s"; stored: bytes per second */
    KNOB_COUNT,      /* policy "200"; stored: a count */
    KNOB_COUNT_RATE, /* policy "500"; stored: per second */
};

/* What a child's value means beside its parent's. */
enum knob_nesting {
    KNOB_NEST_MIN,  /* the least of the group and its ancestors holds */
    KNOB_NEST_LEAF, /* holds only for tasks directly in the group (v1 blkio throttles) */
    KNOB_NEST_NONE, /* relative to siblings, or a setting */
};

/* How the kernel's file is spelt. */
enum knob_form {
    KNOB_FORM_NONE = 0, /* this version has no such file: the knob is refused with .refusal */
    KNOB_FORM_NUMBER,   /* one number; unlimited is .unlimited */
    KNOB_FORM_MEMSW,    /* v1 memory.memsw.limit_in_bytes = limit + swap; pair is the limit */
    KNOB_FORM_CPU_MAX,  /* v2 cpu.max "QUOTA PERIOD"; bandwidth is word 1 (pair: the period), period is word 2
                         */
    KNOB_FORM_BLKIO_RULE, /* v1 "MAJ:MIN N", 0 removes the rule */
    KNOB_FORM_IO_MAX,     /* v2 io.max "MAJ:MIN key=N", key is .key, "max" removes */
};

struct knob_file {
    enum knob_form form;
    const char *controller;
    const char *file;
    const char *key;       /* io.max's key */
    const char *unlimited; /* what is written for KNOB_UNLIMITED */
    const char *refusal;   /* with KNOB_FORM_NONE: why, and what to use instead */
    enum knob_nesting nesting;
};

struct knob {
    const char *key;   /* "memory.limit"; for per-device knobs the last part: "io.read" */
    const char *label; /* for tables and charts: "memory limit" */
    const char *help;  /* one sentence without full stop */
    enum knob_unit unit;
    bool per_device;           /* the policy writes io.DEVICE.read, rows carry the device */
    bool may_block;            /* a write that lowers it may reclaim for a long time */
    uint64_t minimum, maximum; /* of the stored value when not unlimited; maximum 0: none */
    bool accepts_unlimited;    /* the policy may say "unlimited" */
    struct knob_file v1, v2;
};

extern const struct knob knobs[KNOB_N];

/* The id of policy key @key, or -1. */
int knob_find(const char *key);

/* Sets of knobs are bits (1 << id). */
_Static_assert(KNOB_N <= 32, "a set of knobs has one bit per knob");
#define KNOB_ALL ((uint32_t)((UINT64_C(1) << KNOB_N) - 1))
/* @set and the knobs that one of its knobs may move or must fit: bandwidth, period and burst; limit and swap.
 */
uint32_t knob_companions(uint32_t set);

/* The knob's file for hierarchies of @version (1 or 2). */
static inline const struct knob_file *knob_file(enum knob_id id, int version)
{
    return version == 2 ? &knobs[id].v2 : &knobs[id].v1;
}

/* One value of one knob, for one object where the knob is per device. */
struct knob_setting {
    uint16_t knob;   /* enum knob_id */
    uint32_t device; /* makedev(major, minor) packed as by gnu_dev_makedev truncated to 32 bits; 0 when not
                        per device */
    uint64_t value;
};

enum { KNOB_SET_MAX = 48 };
struct knob_set {
    uint32_t count;
    struct knob_setting settings[KNOB_SET_MAX]; /* sorted by knob, then device */
};

/* The setting, or NULL. */
const struct knob_setting *knob_set_get(const struct knob_set *set, enum knob_id knob, uint32_t device);
/* Adds or replaces. 0 or -ENOSPC. */
MUST_USE int knob_set_put(struct knob_set *set, enum knob_id knob, uint32_t device, uint64_t value);
void knob_set_remove(struct knob_set *set, enum knob_id knob, uint32_t device);

/* "1.5 cores", "2GiB", "50MB/s", "unlimited": @period_usec is needed for cpu.bandwidth only. Returns buf. */
const char *knob_format(enum knob_id id, uint64_t value, uint64_t period_usec, char *buf, size_t size);

/* cpu.shares <-> weight by systemd's ratio (1024 shares = weight 100), clamped to what the kernel keeps
 * (2..262144). */
uint64_t knob_weight_to_shares(uint64_t weight);
uint64_t knob_shares_to_weight(uint64_t shares);
