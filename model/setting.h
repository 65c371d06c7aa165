#pragma once
/*
 * masud's settings: one row per key of masu.yaml (model/setting.def), and the plain struct they fill, which
 * every role receives as bytes.
 */

#include "base/attrs.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    SETTING_PATH_MAX = 256,
    SETTING_LIST_MAX = 16,
    SETTING_URL_MAX = 256,
};

struct setting_list {
    uint32_t count;
    char items[SETTING_LIST_MAX][SETTING_PATH_MAX];
};

struct settings {
    char config_path[SETTING_PATH_MAX]; /* where they were read from; "" for defaults */
    uint64_t interval_ns;               /* between samples */
    char state_dir[SETTING_PATH_MAX];   /* paths.state */
    char run_dir[SETTING_PATH_MAX];     /* paths.run */
    char http_listen[SETTING_PATH_MAX]; /* "127.0.0.1:9780", or "" for none */
    struct setting_list
        scope; /* path globs: observed, and managed where a quota matches; empty: observe all */
    struct setting_list policy; /* files and directories, in order */
    bool enforce;               /* false: observe and plan only */
    uint64_t archive_after_ns;  /* a container must live this long before it gets RRD files */
    uint64_t archive_step_ns;   /* what one archived point spans */
    uint64_t archive_flush_ns;  /* at most this long between updates of one file */
    uint64_t archive_max_bytes;
    uint64_t journal_max_bytes;
    uint64_t bus_bytes; /* the ring of frames */
    char webhook[SETTING_URL_MAX];
    char exec[SETTING_PATH_MAX];
    char lxc_dir[SETTING_PATH_MAX]; /* runtimes' state directories, where a host keeps them elsewhere */
    char docker_dir[SETTING_PATH_MAX];
};

enum setting_type {
    SETTING_DURATION, /* uint64_t ns */
    SETTING_BYTES,    /* uint64_t */
    SETTING_SWITCH,   /* bool: on/off, true/false, yes/no */
    SETTING_PATH,     /* char[SETTING_PATH_MAX], absolute */
    SETTING_LISTEN,   /* char[SETTING_PATH_MAX]: ADDRESS:PORT or "off" */
    SETTING_URL,      /* char[SETTING_URL_MAX], http:// or https:// */
    SETTING_PATHS,    /* struct setting_list of absolute paths */
    SETTING_GLOBS,    /* struct setting_list of path globs */
};

struct setting {
    const char *key; /* "paths.state" */
    enum setting_type type;
    uint32_t offset;           /* into struct settings */
    const char *fallback;      /* the default, as it would be written */
    uint64_t minimum, maximum; /* of durations and sizes; 0: none */
    uint64_t step;             /* durations and sizes are multiples of it; 0: any */
    const char *help;          /* one sentence without full stop */
};

extern const struct setting settings_table[];
extern const unsigned settings_count;

/* All defaults. */
void settings_init(struct settings *settings);
/* Sets a scalar from its text, or appends to a list. 0, or -EINVAL/-ERANGE with a sentence in @why ("expected
   a duration such as '1s'"). */
MUST_USE int setting_parse(const struct setting *setting, const char *text, struct settings *settings,
                           char *why, unsigned long why_size);
