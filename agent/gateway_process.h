#pragma once
/* What a process of masu uses, as far as a user without privileges may read it. */

#include <stdbool.h>
#include <stdint.h>

struct gateway_process {
    bool has_cpu, has_memory;
    bool stopped; /* by a signal or a debugger: it does nothing until it is continued */
    double cpu_seconds;
    uint64_t memory_bytes; /* the proportional share where it may be read, else the resident set */
};

/* Absent (both false) when @pid is 0, gone or hidden. */
void gateway_process_read(int pid, struct gateway_process *ret);
/* The fields of one line of /proc/PID/stat. */
void gateway_process_parse(const char *stat, long ticks_per_second, long page_bytes,
                           struct gateway_process *ret);
