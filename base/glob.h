#pragma once
/*
 * Globs. In a name: '*' any run, '?' one character, '[a-z]' a class, '\' quotes. In a path, '*' and
 * '?' stop at '/', and '**' as a whole component matches any number of components (none included):
 * "/a/" followed by two stars fits /a itself, /a/b and /a/b/c.
 */

#include "base/attrs.h"
#include <stdbool.h>

bool glob_match_name(const char *pattern, const char *name);
bool glob_match_path(const char *pattern, const char *path);
/* NULL when well formed, else a static sentence that says what is wrong. */
const char *glob_check(const char *pattern);
