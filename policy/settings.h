#pragma once
/* masu.yaml: YAML to struct settings, with marks in its errors. */

#include "base/diag.h"
#include "model/setting.h"

/* Starts from defaults. 0, or -EINVAL with at least one diag. */
MUST_USE int settings_load(const char *path, struct settings *ret, struct diags *diags);
