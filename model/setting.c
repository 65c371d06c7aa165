#include "model/setting.h"
#include "base/glob.h"
#include "base/str.h"
#include "base/units.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

const struct setting settings_table[] = {
#define SETTING(member, ...) {.offset = offsetof(struct settings, member), __VA_ARGS__},
#include "model/setting.def"
#undef SETTING
};
const unsigned settings_count = ARRAY_LEN(settings_table);

struct why {
    char *text;
    size_t size;
};

static int refuse(struct why why, int error, const char *sentence)
{
    str_copy(why.text, why.size, sentence);
    return error;
}

static int check_range(const struct setting *setting, uint64_t value, struct why why)
{
    char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
    const char *(*format)(uint64_t, char *) =
        setting->type == SETTING_DURATION ? units_format_duration : units_format_bytes;
    if (value < setting->minimum) {
        str_format(why.text, why.size, "expected at least %s", format(setting->minimum, low));
        return -ERANGE;
    }
    if (setting->maximum && value > setting->maximum) {
        str_format(why.text, why.size, "expected at most %s", format(setting->maximum, high));
        return -ERANGE;
    }
    if (setting->step && value % setting->step) {
        str_format(why.text, why.size, "expected a multiple of %s", format(setting->step, low));
        return -EINVAL;
    }
    return 0;
}

static int parse_quantity(const struct setting *setting, const char *text, uint64_t *ret, struct why why)
{
    bool is_duration = setting->type == SETTING_DURATION;
    uint64_t value;
    int error = is_duration ? units_parse_duration(text, &value) : units_parse_bytes(text, &value);
    if (error == -ERANGE)
        return refuse(why, error, "the number is too large");
    if (error)
        return refuse(why, error,
                      is_duration ? "expected a duration such as '1s'" : "expected a size such as '16MiB'");
    error = check_range(setting, value, why);
    if (!error)
        *ret = value;
    return error;
}

static int parse_switch(const char *text, bool *ret, struct why why)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"on", true},     {"off", false}, {"true", true},
                 {"false", false}, {"yes", true},  {"no", false}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(text, words[i].word) == 0) {
            *ret = words[i].value;
            return 0;
        }
    return refuse(why, -EINVAL, "expected 'on' or 'off'");
}

static int copy_text(char *to, size_t size, const char *text, struct why why)
{
    if (strlen(text) >= size) {
        str_format(why.text, why.size, "expected at most %zu characters", size - 1);
        return -ERANGE;
    }
    str_copy(to, size, text);
    return 0;
}

static int parse_path(const char *text, char *to, struct why why)
{
    if (*text != '/')
        return refuse(why, -EINVAL, "expected an absolute path such as '/etc/masu'");
    return copy_text(to, SETTING_PATH_MAX, text, why);
}

static bool is_listen_address(const char *text)
{
    char address[INET6_ADDRSTRLEN + 2];
    struct in6_addr parsed;
    uint64_t port;
    const char *colon = strrchr(text, ':');
    if (!colon || str_to_u64(colon + 1, &port) || port == 0 || port > 65535)
        return false;
    size_t len = (size_t)(colon - text);
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (*address != '[')
        return inet_pton(AF_INET, address, &parsed) == 1;
    if (address[len - 1] != ']')
        return false;
    address[len - 1] = '\0';
    return inet_pton(AF_INET6, address + 1, &parsed) == 1;
}

static int parse_listen(const char *text, char *to, struct why why)
{
    if (strcmp(text, "off") == 0) {
        *to = '\0';
        return 0;
    }
    if (!is_listen_address(text))
        return refuse(why, -EINVAL,
                      "expected ADDRESS:PORT such as '127.0.0.1:9780' or '[::1]:9780', or 'off'");
    return copy_text(to, SETTING_PATH_MAX, text, why);
}

static int parse_url(const char *text, char *to, struct why why)
{
    bool known = str_starts(text, "http://") || str_starts(text, "https://");
    const char *host = known ? strstr(text, "://") + 3 : "";
    if (*host == '\0' || *host == '/')
        return refuse(why, -EINVAL, "expected a URL such as 'http://127.0.0.1:9093/hook'");
    return copy_text(to, SETTING_URL_MAX, text, why);
}

static int append(struct setting_list *list, const char *text, struct why why)
{
    if (list->count == SETTING_LIST_MAX) {
        str_format(why.text, why.size, "expected at most %u entries", (unsigned)SETTING_LIST_MAX);
        return -ERANGE;
    }
    int error = parse_path(text, list->items[list->count], why);
    if (!error)
        list->count++;
    return error;
}

static int append_glob(struct setting_list *list, const char *text, struct why why)
{
    const char *wrong = glob_check(text);
    if (wrong)
        return refuse(why, -EINVAL, wrong);
    if (*text != '/')
        return refuse(why, -EINVAL, "expected a pattern of absolute paths such as '/lxc/**'");
    return append(list, text, why);
}

int setting_parse(const struct setting *setting, const char *text, struct settings *settings, char *why_text,
                  unsigned long why_size)
{
    void *at = (char *)settings + setting->offset;
    struct why why = {why_text, why_size};
    switch (setting->type) {
    case SETTING_DURATION:
    case SETTING_BYTES:
        return parse_quantity(setting, text, at, why);
    case SETTING_SWITCH:
        return parse_switch(text, at, why);
    case SETTING_PATH:
        return parse_path(text, at, why);
    case SETTING_LISTEN:
        return parse_listen(text, at, why);
    case SETTING_URL:
        return parse_url(text, at, why);
    case SETTING_PATHS:
        return append(at, text, why);
    case SETTING_GLOBS:
        return append_glob(at, text, why);
    }
    return refuse(why, -EINVAL, "this setting has no known type");
}

void settings_init(struct settings *settings)
{
    memset(settings, 0, sizeof *settings);
    for (unsigned i = 0; i < settings_count; i++) {
        char why[128] = "";
        const struct setting *setting = &settings_table[i];
        int error =
            *setting->fallback ? setting_parse(setting, setting->fallback, settings, why, sizeof why) : 0;
        assert(!error);
        (void)error;
    }
}
