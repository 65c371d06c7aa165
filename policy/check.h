#pragma once
/* What `masu check FILE…` does: each file is judged for what it is, a policy or masud's settings, without a
 * daemon. */

#include "base/diag.h"

/*
 * Settings files are checked one by one; policy files and directories are loaded together, in the order
 * given, so that one may extend what another defines. What a file is, its keys tell; a file that is no YAML
 * is called so once. 0, or -EINVAL or -ENOMEM with at least one diag.
 */
MUST_USE int check_files(const char *const *paths, unsigned count, struct diags *diags);
