/* A real Prometheus scrapes masu and gives back what was scraped. */

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "tests/system/harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char policy[] = "quotas:\n  web: { match: { path: \"%s/web\" }, cpu: { bandwidth: 0.5 } }\n";

struct scraper {
    struct daemon *d;
    char path[GROUP_PATH_MAX];
    pid_t pid, burner;
    int port;
};

static double query(struct scraper *s, const char *escaped)
{
    char url[2048];
    long status;
    str_format(url, sizeof url, "http://127.0.0.1:%d/api/v1/query?query=%s", s->port, escaped);
    char *body = http_get_url(NULL, url, &status, NULL);
    json_t *answer = json_loads(body, 0, NULL);
    json_t *result = json_object_get(json_object_get(answer, "data"), "result");
    const char *value =
        json_string_value(json_array_get(json_object_get(json_array_get(result, 0), "value"), 1));
    double number = value ? strtod(value, NULL) : -1;
    json_decref(answer);
    free(body);
    return number;
}

static bool has_scraped_a_rate(void *argument)
{
    struct scraper *s = argument;
    /* rate(masu_container_cpu_usage_seconds_total{path="…/web"}[10s]) */
    char escaped[1024];
    str_format(escaped, sizeof escaped,
               "rate(masu_container_cpu_usage_seconds_total%%7Bpath=%%22%s%%22%%7D%%5B10s%%5D)", s->path);
    double cores = query(s, escaped);
    return cores > 0.3 && cores < 0.7;
}

static void start_prometheus(struct scraper *s)
{
    char config[200], text[512], flags[3][256];
    str_format(config, sizeof config, "%s/prometheus.yml", s->d->dir);
    str_format(
        text, sizeof text,
        "global: { scrape_interval: 1s }\n"
        "scrape_configs:\n  - job_name: masu\n    static_configs: [ { targets: [ \"127.0.0.1:%d\" ] } ]\n",
        s->d->port);
    assert_int_equal(fs_replace_at(AT_FDCWD, config, text, strlen(text), 0644), 0);
    str_format(flags[0], sizeof flags[0], "--config.file=%s", config);
    str_format(flags[1], sizeof flags[1], "--storage.tsdb.path=%s/tsdb", s->d->dir);
    str_format(flags[2], sizeof flags[2], "--web.listen-address=127.0.0.1:%d", s->port);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 1);
        dup2(null, 2);
        execlp("prometheus", "prometheus", flags[0], flags[1], flags[2], (char *)NULL);
        _exit(127);
    }
}

static void prometheus_scrapes_the_containers(void **state)
{
    struct scraper *s = *state;
    start_prometheus(s);
    assert_true(wait_until(has_scraped_a_rate, s, 60));
    assert_true(query(s, "up%7Bjob=%22masu%22%7D") == 1);
}

static void text_is_what_promtool_accepts(void **state)
{
    struct scraper *s = *state;
    char file[200], line[512];
    long status;
    size_t len;
    char *body = http_get(s->d, "/metrics", &status, &len);
    assert_int_equal(status, 200);
    str_format(file, sizeof file, "%s/metrics.txt", s->d->dir);
    assert_int_equal(fs_replace_at(AT_FDCWD, file, body, len, 0644), 0);
    free(body);
    str_format(line, sizeof line, "promtool check metrics <%s", file);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    int result;
    waitpid(pid, &result, 0);
    assert_int_equal(WEXITSTATUS(result), 0);
}

static int start(void **state)
{
    static struct daemon d;
    static struct scraper s;
    daemon_init(&d, "prometheus", policy, NULL);
    s = (struct scraper){.d = &d, .port = d.port + 1};
    make_group(&d, "web", s.path);
    daemon_start(&d);
    s.burner = run_burner(&d, s.path);
    *state = &s;
    return 0;
}

static int stop(void **state)
{
    struct scraper *s = *state;
    end_child(s->pid);
    end_child(s->burner);
    daemon_fini(s->d);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_scrapes_the_containers),
        cmocka_unit_test(text_is_what_promtool_accepts),
    };
    return cmocka_run_group_tests_name("prometheus", tests, start, stop);
}
