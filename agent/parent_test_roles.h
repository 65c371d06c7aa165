#pragma once
/*
 * Tiny roles for the parent's stories: they exercise every channel and message of the parent. The tiny core
 * and enforcer, which are root, write what the roles hear as lines to "story" in the run directory.
 */

#include "agent/role.h"

extern role_entry *const tiny_roles[ROLE_N];
