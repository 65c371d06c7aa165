#include "policy/policy_parts.h"

#include "base/buf.h"
#include <stdio.h>
#include <string.h>

/* Quoted as YAML wants it. Control characters never get here (doc.c refuses them), but for U+FEFF, which YAML
 * cannot show. */
static void put_quoted(struct buf *out, const char *text)
{
    buf_putc(out, '"');
    const char *at = text, *end = text + strlen(text);
    while (at < end) {
        const char *here = at;
        int32_t code = doc_utf8_next(&at, end);
        if (code < 0)
            break;
        if (code == '"' || code == '\\')
            buf_printf(out, "\\%c", (char)code);
        else if (code == 0xfeff || (code >= 0xfff0 && code <= 0xffff))
            buf_printf(out, "\\u%04X", (unsigned)code);
        else
            buf_append(out, here, (size_t)(at - here));
    }
    buf_putc(out, '"');
}

static void put_globs(struct buf *out, const char *key, const struct policy_globs *globs)
{
    if (globs->count == 0)
        return;
    buf_printf(out, "      %s: ", key);
    if (globs->count > 1)
        buf_putc(out, '[');
    for (unsigned i = 0; i < globs->count; i++) {
        if (i)
            buf_puts(out, ", ");
        put_quoted(out, globs->items[i]);
    }
    buf_puts(out, globs->count > 1 ? "]\n" : "\n");
}

static void put_match(struct buf *out, const struct policy_match *match)
{
    if (!match->given)
        return;
    buf_puts(out, "    match:\n");
    put_globs(out, "path", &match->path);
    put_globs(out, "container", &match->container);
    put_globs(out, "runtime", &match->runtime);
}

/* The knobs of a section stand together in the table, so their settings, sorted by knob, do too. */
static void put_limits(struct buf *out, const struct quota *quota)
{
    char value[64];
    const char *section = "";
    for (unsigned i = 0; i < quota->setting_count; i++) {
        const struct policy_setting *s = &quota->settings[i];
        const char *key = knobs[s->knob].key, *dot = strchr(key, '.');
        policy_value_print(s->knob, s->value, value, sizeof value);
        if (knobs[s->knob].per_device)
            continue;
        if (!dot) {
            buf_printf(out, "    %s: %s\n", key, value);
            continue;
        }
        if (strncmp(section, key, (size_t)(dot + 1 - key)) != 0)
            buf_printf(out, "    %.*s:\n", (int)(dot - key), key);
        section = key;
        buf_printf(out, "      %s: %s\n", dot + 1, value);
    }
}

static bool device_done(const struct quota *quota, unsigned until)
{
    for (unsigned i = 0; i < until; i++)
        if (strcmp(quota->settings[i].device, quota->settings[until].device) == 0)
            return true;
    return false;
}

static void put_devices(struct buf *out, const struct quota *quota)
{
    char value[64];
    bool headed = false;
    for (unsigned i = 0; i < quota->setting_count; i++) {
        if (!knobs[quota->settings[i].knob].per_device || device_done(quota, i))
            continue;
        buf_puts(out, headed ? "      " : "    io:\n      ");
        headed = true;
        put_quoted(out, quota->settings[i].device);
        buf_puts(out, ":\n");
        for (unsigned k = i; k < quota->setting_count; k++) {
            const struct policy_setting *s = &quota->settings[k];
            if (strcmp(s->device, quota->settings[i].device) == 0)
                buf_printf(out, "        %s: %s\n", strchr(knobs[s->knob].key, '.') + 1,
                           policy_value_print(s->knob, s->value, value, sizeof value));
        }
    }
    if (quota->io_per_leaf)
        buf_puts(out, headed ? "      per_leaf: true\n" : "    io:\n      per_leaf: true\n");
}

static void put_quota(struct buf *out, const struct quota *quota)
{
    static const char *const releases[] = {
        [RELEASE_RESTORE] = "restore", [RELEASE_KEEP] = "keep", [RELEASE_UNLIMITED] = "unlimited"};
    static const char *const drifts[] = {
        [DRIFT_ENFORCE] = "enforce", [DRIFT_ADOPT] = "adopt", [DRIFT_REPORT] = "report"};
    buf_printf(out, "  %s:\n", quota->name);
    put_match(out, &quota->match);
    if (quota->account[0])
        buf_printf(out, "    account: %s\n", quota->account);
    put_limits(out, quota);
    put_devices(out, quota);
    buf_printf(out, "    drift: %s\n    release: %s\n    unsupported: %s\n", drifts[quota->drift],
               releases[quota->release], quota->unsupported_warn ? "warn" : "refuse");
}

void policy_print(const struct policy *policy, struct buf *out)
{
    if (policy->quota_count)
        buf_puts(out, "quotas:\n");
    for (unsigned i = 0; i < policy->quota_count; i++)
        put_quota(out, &policy->quotas[i]);
    if (policy->group_count)
        buf_puts(out, "groups:\n");
    for (unsigned i = 0; i < policy->group_count; i++) {
        buf_puts(out, "  ");
        put_quoted(out, policy->groups[i].path);
        buf_printf(out, ":\n    quota: %s\n", policy->groups[i].quota);
    }
}
