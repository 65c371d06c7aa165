#pragma once
/* What masud is told on its command line and in its files. */

#include "base/diag.h"
#include "model/setting.h"

#define CONFIG_PATH_DEFAULT "/etc/masu/masu.yaml"

/* Reads the settings; @path NULL: CONFIG_PATH_DEFAULT, or defaults when there is no such file. 0, or -EINVAL
 * with diags. */
MUST_USE int config_load(const char *path, struct settings *ret, struct diags *diags);
/* Whether the policy that the settings name holds. 0, or -EINVAL with diags. */
MUST_USE int config_check_policy(const struct settings *settings, struct diags *diags);
/* One line per diag on standard error. */
void config_print(const struct diags *diags);
