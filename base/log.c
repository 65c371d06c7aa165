#include "base/log.h"
#include "base/clock.h"
#include "base/str.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 2048,
    WINDOW_S = 10,
    WINDOW_LINES = 10,
};

static const struct {
    const char *name;
    char priority; /* of sd-daemon(3) */
} levels[] = {
    [LOG_ERROR] = {"error", '3'},
    [LOG_WARN] = {"warn", '4'},
    [LOG_INFO] = {"info", '6'},
    [LOG_DEBUG] = {"debug", '7'},
};

static const char *log_program = "masu";
static enum log_level log_limit = LOG_INFO;
static bool log_to_journal;

/* JOURNAL_STREAM names the device and inode that standard error had when the service began. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char ours[64];
    struct stat st;
    if (!stream || fstat(STDERR_FILENO, &st) < 0)
        return false;
    str_format(ours, sizeof ours, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    return strcmp(stream, ours) == 0;
}

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_limit = level;
    log_to_journal = stderr_is_journal();
}

/* Whether the line may pass; *ret_held is how many before it did not. */
static bool site_admits(struct log_site *site, unsigned *ret_held)
{
    unsigned long now_s = (unsigned long)(clock_mono_ns() / NSEC_PER_SEC) + 1;
    *ret_held = 0;
    if (!site->window_s || now_s - site->window_s >= WINDOW_S) {
        *ret_held = site->held;
        *site = (struct log_site){.window_s = now_s};
    }
    if (site->count == WINDOW_LINES) {
        site->held++;
        return false;
    }
    site->count++;
    return true;
}

static void write_line(enum log_level level, const char *subsystem, const char *text)
{
    char line[LINE_MAX_BYTES];
    char prefix[] = {'<', levels[level].priority, '>', '\0'};
    bool fits = str_format(line, sizeof line - 1, "%s%s: %s %s: %s", log_to_journal ? prefix : "",
                           log_program, levels[level].name, subsystem, text);
    if (!fits)
        memcpy(line + sizeof line - 5, "...", 4);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    size_t len = strlen(line);
    line[len++] = '\n';
    /* a log that cannot be written has nobody to tell */
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored;
}

void log_line(struct log_site *site, enum log_level level, const char *subsystem, const char *format, ...)
{
    int saved_errno = errno;
    unsigned held = 0;
    if (level > log_limit || !site_admits(site, &held)) {
        errno = saved_errno;
        return;
    }
    char text[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    errno = saved_errno;
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (held) {
        char note[64];
        str_format(note, sizeof note, "%u more lines like the next were held back", held);
        write_line(level, subsystem, note);
    }
    write_line(level, subsystem, text);
    errno = saved_errno;
}
