#include "agent/config.h"

#include "base/fs.h"
#include "policy/policy.h"
#include "policy/settings.h"

#include <fcntl.h>
#include <stdio.h>

int config_load(const char *path, struct settings *ret, struct diags *diags)
{
    if (!path && !fs_exists_at(AT_FDCWD, CONFIG_PATH_DEFAULT)) {
        settings_init(ret);
        return 0;
    }
    return settings_load(path ? path : CONFIG_PATH_DEFAULT, ret, diags);
}

int config_check_policy(const struct settings *settings, struct diags *diags)
{
    const char *paths[SETTING_LIST_MAX];
    for (unsigned i = 0; i < settings->policy.count; i++)
        paths[i] = settings->policy.items[i];
    struct policy policy = POLICY_NULL;
    int r = policy_load(paths, settings->policy.count, &policy, diags);
    policy_fini(&policy);
    return r;
}

void config_print(const struct diags *diags)
{
    char line[DIAG_FILE_MAX + DIAG_TEXT_MAX + 32];
    for (size_t i = 0; i < diags->count; i++)
        (void)fprintf(stderr, "%s\n", diag_format(&diags->items[i], line, sizeof line));
    if (diags->dropped)
        (void)fprintf(stderr, "… and %zu more\n", diags->dropped);
}
