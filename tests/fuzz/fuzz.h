#pragma once
/* What every fuzzer of this folder defines: tries one input, aborts when a promise is broken. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
