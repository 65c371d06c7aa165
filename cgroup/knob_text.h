#pragma once
/* The spelling of knob files: what knob.c shares with knob_text.c. Pure. */

#include "model/knob.h"

/* The next rule of a per-device file at or after *cursor that sets @file's value; advances *cursor. False at
 * the end. */
bool knob_text_next_rule(const struct knob_file *file, const char **cursor, uint32_t *ret_device,
                         uint64_t *ret_value);
