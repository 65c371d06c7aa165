#include "cli/screen.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 80, HEIGHT_DEFAULT = 24 };

struct screen {
    struct termios before;
    bool raw; /* standard input is a terminal, and was changed */
};

static struct screen the_screen;
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void put(const char *text)
{
    fputs(text, stdout);
}

struct screen *screen_open(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: poll must wake */

    if (!isatty(STDOUT_FILENO))
        return NULL;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    the_screen.raw = !tcgetattr(STDIN_FILENO, &the_screen.before);
    if (the_screen.raw) {
        struct termios raw = the_screen.before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 1;
        raw.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    put("\033[?1049h\033[?25l"); /* the other screen, no cursor */
    return &the_screen;
}

void screen_close(struct screen *screen)
{
    put("\033[?25h\033[?1049l");
    fflush(stdout);
    if (screen->raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
}

static void size_of(unsigned *ret_width, unsigned *ret_height)
{
    struct winsize size;
    bool known = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col && size.ws_row;

    *ret_width = known ? size.ws_col : WIDTH_DEFAULT;
    *ret_height = known ? size.ws_row : HEIGHT_DEFAULT;
}

unsigned screen_width(const struct screen *screen UNUSED)
{
    unsigned width, height;

    size_of(&width, &height);
    return width;
}

unsigned screen_height(const struct screen *screen UNUSED)
{
    unsigned width, height;

    size_of(&width, &height);
    return height;
}

void screen_show(struct screen *screen UNUSED, const struct buf *page)
{
    put("\033[H");
    for (const char *line = page->data ? page->data : ""; *line;) {
        size_t len = strcspn(line, "\n");
        fwrite(line, 1, len, stdout);
        put("\033[K"); /* what was longer before */
        if (line[len])
            put("\r\n");
        line += len + (line[len] != '\0');
    }
    put("\033[J");
    fflush(stdout);
}

int screen_key(struct screen *screen, int timeout_ms)
{
    struct pollfd wait = {.fd = screen->raw ? STDIN_FILENO : -1, .events = POLLIN};
    char key;

    int n = ended ? -1 : poll(&wait, 1, timeout_ms);
    if (ended)
        return SCREEN_END;
    if (n <= 0)
        return SCREEN_NONE; /* a changed window size interrupts too: draw anew */
    return read(STDIN_FILENO, &key, 1) == 1 ? key : SCREEN_END;
}
