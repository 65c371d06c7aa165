#include "cli/client.h"
#include "base/str.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKET_DEFAULT "/run/masu/masu.sock"

enum { TIMEOUT_S = 15, PLAN_TIMEOUT_S = 40, PAGES_MAX = 1000, ANSWER_MAX = 512 << 20 };

static const char *socket_path;

void client_use_socket(const char *path)
{
    const char *named = getenv("MASU_SOCKET");

    socket_path = path ? path : named && *named ? named : SOCKET_DEFAULT;
}

static CURL *handle(void)
{
    static CURL *curl; /* kept: the connection is used again */

    if (!curl)
        curl = curl_easy_init();
    if (!curl)
        return NULL;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "masu/" MASU_VERSION);
    return curl;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    struct buf *body = owner;

    if (body->len + size * count > ANSWER_MAX)
        return 0;
    buf_append(body, bytes, size * count);
    return buf_error(body) ? 0 : size * count;
}

static void explain_transport(CURL *curl, CURLcode code, char *why, size_t size)
{
    long error = 0;

    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    if (code == CURLE_COULDNT_CONNECT && (error == EACCES || error == EPERM))
        str_format(why, size, "cannot use %s: permission denied (root, or the group masu, may)", socket_path);
    else if (code == CURLE_COULDNT_CONNECT)
        str_format(why, size, "cannot reach masud at %s: is it running? (systemctl start masu)", socket_path);
    else if (code == CURLE_OPERATION_TIMEDOUT)
        str_format(why, size, "masud at %s did not answer in time: see its log", socket_path);
    else
        str_format(why, size, "masud at %s: %s", socket_path, curl_easy_strerror(code));
}

/* The message of an error's body, else what HTTP says. */
static void explain_status(long status, const struct buf *body, char *why, size_t size)
{
    json_t *object = body->data ? json_loads(body->data, 0, NULL) : NULL;
    const char *message = json_string_value(json_object_get(json_object_get(object, "error"), "message"));

    if (message)
        str_copy(why, size, message);
    else
        str_format(why, size, "masud answered with HTTP status %ld", status);
    json_decref(object);
}

static bool request(const char *path, bool post, struct buf *body, char *why, size_t size)
{
    CURL *curl = handle();
    struct buf url = BUF_NULL;
    long status = 0;

    buf_printf(&url, "http://localhost%s", path);
    if (!curl || buf_error(&url)) {
        buf_fini(&url);
        str_copy(why, size, "out of memory");
        return false;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url.data);
    /* Plans are carried out while the client waits, and may take core's whole half minute. */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT,
                     post || !strcmp(path, "/api/v1/plan") ? (long)PLAN_TIMEOUT_S : (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    if (post)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    CURLcode code = curl_easy_perform(curl);
    buf_fini(&url);
    if (code != CURLE_OK)
        explain_transport(curl, code, why, size);
    else if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status != 200)
        explain_status(status, body, why, size);
    return code == CURLE_OK && status == 200;
}

static json_t *request_json(const char *path, bool post, char *why, size_t size)
{
    struct buf body = BUF_NULL;
    json_error_t error;
    json_t *answer = NULL;

    if (request(path, post, &body, why, size)) {
        answer = json_loadb(body.data ? body.data : "", body.len, 0, &error);
        if (!answer)
            str_format(why, size, "masud's answer is not understood: %s", error.text);
    }
    buf_fini(&body);
    return answer;
}

enum { WHY_SIZE = 4096 };

static json_t *request_or_say(const char *path, bool post)
{
    char why[WHY_SIZE] = "";
    json_t *answer = request_json(path, post, why, sizeof why);

    if (!answer)
        fprintf(stderr, "masu: %s\n", why);
    return answer;
}

json_t *client_get(const char *path)
{
    return request_or_say(path, false);
}

json_t *client_post(const char *path)
{
    return request_or_say(path, true);
}

json_t *client_try(const char *path, char *ret_why, size_t why_size)
{
    return request_json(path, false, ret_why, why_size);
}

bool client_get_bytes(const char *path, struct buf *ret)
{
    char why[WHY_SIZE] = "";

    if (request(path, false, ret, why, sizeof why))
        return true;
    fprintf(stderr, "masu: %s\n", why);
    return false;
}

/* A stream as it is being read: whole lines make events. */
struct stream {
    struct buf rest; /* what came after the last whole line */
    char type[32];
    client_event_fn *on_event;
    void *owner;
    bool stopped;
    CURL *curl;
    struct buf error_body;
};

static void take_line(struct stream *stream, const char *line)
{
    if (str_starts(line, "event: "))
        str_copy(stream->type, sizeof stream->type, line + strlen("event: "));
    else if (str_starts(line, "data: "))
        stream->stopped = !stream->on_event(stream->owner, stream->type, line + strlen("data: "));
}

static size_t on_stream_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    struct stream *stream = owner;
    long status = 0;

    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return on_bytes(bytes, size, count, &stream->error_body);
    buf_append(&stream->rest, bytes, size * count);
    if (buf_error(&stream->rest))
        return 0;
    char *line = stream->rest.data, *end;
    for (; !stream->stopped && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        take_line(stream, line);
    }
    size_t left = stream->rest.len - (size_t)(line - stream->rest.data);
    memmove(stream->rest.data, line, left + 1);
    stream->rest.len = left;
    return stream->stopped ? 0 : size * count;
}

bool client_stream(const char *path, client_event_fn *on_event, void *owner, char *why, size_t why_size)
{
    struct stream stream = {.on_event = on_event, .owner = owner, .curl = handle()};
    struct buf url = BUF_NULL;
    long status = 0;

    buf_printf(&url, "http://localhost%s", path);
    if (!stream.curl || buf_error(&url)) {
        buf_fini(&url);
        str_copy(why, why_size, "out of memory");
        return false;
    }
    curl_easy_setopt(stream.curl, CURLOPT_URL, url.data);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEFUNCTION, on_stream_bytes);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEDATA, &stream);
    CURLcode code = curl_easy_perform(stream.curl);
    curl_easy_getinfo(stream.curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK && status != 200)
        explain_status(status, &stream.error_body, why, why_size);
    else if (code == CURLE_OK || code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR)
        str_format(why, why_size, "masud at %s ended the stream", socket_path);
    else
        explain_transport(stream.curl, code, why, why_size);
    buf_fini(&url);
    buf_fini(&stream.rest);
    buf_fini(&stream.error_body);
    return stream.stopped;
}

void client_put_part(struct buf *out, const char *part)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *part; part++) {
        if (strchr(plain, *part))
            buf_putc(out, *part);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*part);
    }
}

json_t *client_containers(const char *fields, char *why, size_t why_size)
{
    json_t *all = json_array(), *cursor = NULL;
    char text[WHY_SIZE] = "", path[512];

    for (unsigned page = 0; page < PAGES_MAX; page++) {
        str_format(path, sizeof path, "/api/v1/containers?limit=1000%s%s%s%s", fields ? "&fields=" : "",
                   fields ? fields : "", cursor ? "&cursor=" : "", cursor ? json_string_value(cursor) : "");
        json_decref(cursor);
        json_t *answer = request_json(path, false, text, sizeof text);
        if (!answer) {
            json_decref(all);
            if (why)
                str_copy(why, why_size, text);
            else
                fprintf(stderr, "masu: %s\n", text);
            return NULL;
        }
        json_array_extend(all, json_object_get(answer, "containers"));
        cursor = json_incref(json_object_get(answer, "next"));
        json_decref(answer);
        if (!json_is_string(cursor))
            break;
    }
    json_decref(cursor);
    return all;
}
