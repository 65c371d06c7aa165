#pragma once
/* The clocks. Inside masu time is CLOCK_MONOTONIC in nanoseconds; wall time stands only at the edges. */

#include <stdint.h>

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC UINT64_C(1000000000)

uint64_t clock_mono_ns(void);
uint64_t clock_wall_ns(void);
uint64_t clock_cpu_ns(void); /* CPU time this process has used */
