#pragma once
/*
 * Log lines: "level subsystem: text" on standard error, with a sd-daemon priority prefix when that
 * is a journal stream. Only agent/ and the command-line programs log. A line repeated from the same
 * place more than 10 times in 10 s is held back and counted.
 */

#include "base/attrs.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_site {
    unsigned long window_s;
    unsigned count, held;
};

/* @program is borrowed and stands first on each line ("masud core"). */
void log_init(const char *program, enum log_level level);
void log_line(struct log_site *site, enum log_level level, const char *subsystem, const char *format, ...)
    PRINTF_LIKE(4, 5);

#define LOG_AT(level, ...)                                                                                   \
    do {                                                                                                     \
        static struct log_site site_;                                                                        \
        log_line(&site_, level, __VA_ARGS__);                                                                \
    } while (0)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
