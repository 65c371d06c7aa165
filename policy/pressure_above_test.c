/* A group without a limit above one with a limit: what the lower one lives, v2 counts in both. */

#include "policy/pressure.h"

#include "base/attrs.h"
#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LIMIT (UINT64_C(64) << 20)

struct member {
    struct pressure_state state;
    struct pressure_signals counted; /* by the kernel */
    enum level highest;
};

struct family {
    struct member above, below;
    struct pressure_below told; /* by the lower one to the upper one */
    bool tighter;               /* the limit of the lower one is its own */
};

static struct family family_begin(void)
{
    const struct pressure_signals begin = {.now_ns = 5 * NSEC_PER_SEC, .has_psi = true, .has_refaults = true};
    struct family f = {.above.counted = begin, .below.counted = begin, .tighter = true};
    f.below.counted.has_limit = true;
    f.below.counted.limit_bytes = LIMIT;
    return f;
}

static void step(struct member *member, const struct pressure_signals *now)
{
    const struct pressure_rules rules = PRESSURE_RULES_DEFAULT;
    char why[256];
    (void)pressure_step(&member->state, &rules, now, why, sizeof why);
    if (member->state.level > member->highest)
        member->highest = member->state.level;
}

/* A tenth of a second of most of the time lost, and files read again and again, by tasks of the lower group.
 */
static void thrash(struct pressure_signals *counted)
{
    counted->psi_some_usec += 70000;
    counted->psi_full_usec += 60000;
    counted->refaults += 500;
}

static void step_above(struct family *f)
{
    struct pressure_signals own = f->above.counted;
    pressure_own(&f->told, &f->above.state, 2 * NSEC_PER_SEC, &own);
    step(&f->above, &own);
}

static void step_below(struct family *f)
{
    struct pressure_state before = f->below.state;
    step(&f->below, &f->below.counted);
    if (before.primed)
        pressure_tell(&f->told, &before.last, &f->below.state, f->tighter);
}

/* The upper group is read before the lower one, as core does; @looks times a second, 1 to 10. */
static void live_and_look(struct family *f, unsigned seconds, bool thrashing, bool at_limit, unsigned looks)
{
    for (unsigned tenth = 1; tenth <= 10 * seconds; tenth++) {
        struct pressure_signals *both[] = {&f->above.counted, &f->below.counted};
        for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
            both[i]->now_ns += NSEC_PER_SEC / 10;
            both[i]->limit_hits += at_limit ? 90 : 0;
            if (thrashing)
                thrash(both[i]);
        }
        if (tenth % (10 / looks) == 0)
            step_above(f);
        if (tenth % 10 == 0)
            step_below(f);
    }
}

static void live(struct family *f, unsigned seconds, bool thrashing, bool at_limit)
{
    live_and_look(f, seconds, thrashing, at_limit, 1);
}

static void what_thrashes_at_its_own_limit_is_told_and_not_those_above(void **unused)
{
    (void)unused;
    struct family f = family_begin();
    live(&f, 5, false, false);
    live(&f, 60, true, true);
    assert_int_equal(f.below.highest, LEVEL_CRITICAL);
    assert_true(f.above.highest <= LEVEL_LOW);
}

static void those_above_may_be_looked_at_more_often(void **unused)
{
    (void)unused;
    struct family f = family_begin();
    live(&f, 5, false, false);
    live_and_look(&f, 60, true, true, 5);
    assert_int_equal(f.below.highest, LEVEL_CRITICAL);
    assert_true(f.above.highest <= LEVEL_LOW);
}

static void what_comes_from_above_is_told_above_too(void **unused)
{
    (void)unused;
    struct family f = family_begin();
    live(&f, 60, true, false); /* below, no limit is hit */
    assert_int_equal(f.above.highest, LEVEL_CRITICAL);

    f = family_begin();
    f.tighter = false; /* what is hit is the limit of the group above */
    live(&f, 60, true, true);
    assert_int_equal(f.above.highest, LEVEL_CRITICAL);
}

static void trouble_of_its_own_is_told_beside_that_of_those_below(void **unused)
{
    (void)unused;
    struct family f = family_begin();
    live(&f, 30, true, true);
    assert_true(f.above.highest <= LEVEL_LOW);
    for (unsigned i = 0; i < 10; i++) {
        f.above.counted.psi_some_usec += 300000;
        f.above.counted.refaults += 2000;
        live(&f, 1, true, true);
    }
    assert_int_equal(f.above.highest, LEVEL_MEDIUM);
}

static void kill_is_told_where_it_happened(void **unused)
{
    (void)unused;
    struct family f;
    for (unsigned phase = 0; phase < 3; phase++) {
        f = family_begin();
        live(&f, 5 + phase, false, false);
        f.below.counted.oom_kills = f.above.counted.oom_kills = 3;
        live(&f, 30, false, false);
        assert_int_equal(f.below.highest, LEVEL_OOM);
        assert_int_equal(f.above.highest, LEVEL_NONE);
    }

    f.above.counted.oom_kills = 4; /* in a group that was gone before it could be read */
    live(&f, 5, false, false);
    assert_int_equal(f.above.highest, LEVEL_OOM);
}

static void kills_of_before_masu_came_are_no_news(void **unused)
{
    (void)unused;
    struct family f = family_begin();
    f.told.used = true;
    f.above.counted.oom_kills = 7;
    live(&f, 30, false, false);
    assert_int_equal(f.above.highest, LEVEL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_thrashes_at_its_own_limit_is_told_and_not_those_above),
        cmocka_unit_test(those_above_may_be_looked_at_more_often),
        cmocka_unit_test(what_comes_from_above_is_told_above_too),
        cmocka_unit_test(trouble_of_its_own_is_told_beside_that_of_those_below),
        cmocka_unit_test(kill_is_told_where_it_happened),
        cmocka_unit_test(kills_of_before_masu_came_are_no_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
