/* masud: the parent, and the roles that look at the kernel. */

#include "agent/config.h"
#include "agent/parent.h"
#include "agent/role_main.h"
#include "base/log.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_INVALID = 2 };

struct options {
    const char *config;
    bool check, help, version;
};

static const char usage_text[] =
    "Usage: masud [--config FILE] [--check]\n"
    "Holds containers to their quotas and measures what they use. Runs in the foreground; SIGHUP loads the "
    "policy anew.\n\n"
    "  -c, --config FILE  settings, default " CONFIG_PATH_DEFAULT "\n"
    "      --check        validate settings and policy, then exit: 0 valid, 2 invalid\n"
    "  -h, --help         show this text\n"
    "      --version      show the version\n\n"
    "Exit status: 0 stopped, 1 failure, 2 invalid settings or policy, 64 wrong usage. See masud(8).\n";

static bool parse(int argc, char **argv, struct options *ret)
{
    enum { CHECK = 256, VERSION };
    static const struct option table[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, CHECK},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, VERSION},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:h", table, NULL)) != -1) {
        if (option == 'c')
            ret->config = optarg;
        else if (option == 'h')
            ret->help = true;
        else if (option == CHECK)
            ret->check = true;
        else if (option == VERSION)
            ret->version = true;
        else
            return false;
    }
    if (optind < argc)
        (void)fprintf(stderr, "masud: unexpected argument '%s'\n", argv[optind]);
    return optind == argc;
}

static int check(const struct settings *settings, struct diags *diags)
{
    int r = config_check_policy(settings, diags);
    config_print(diags);
    return r < 0 ? EXIT_INVALID : 0;
}

static int serve(const struct settings *settings)
{
    if (geteuid() != 0) {
        log_error("parent",
                  "masud must be started by root (it drops what its roles do not need), not starting");
        return EXIT_FAILED;
    }
    struct spawn_files files;
    const char *missing;
    int r = spawn_files_open(&files, &missing);
    if (r < 0) {
        log_error("parent", "cannot open '%s' beside masud: %s, not starting", missing, strerror(-r));
        return EXIT_FAILED;
    }
    int code = parent_run(settings, &files);
    spawn_files_fini(&files);
    return code;
}

static int run(const struct options *options)
{
    static struct settings settings;
    struct diags diags = DIAGS_NULL;
    int r = config_load(options->config, &settings, &diags);
    if (r < 0)
        config_print(&diags);
    int code = r < 0 ? EXIT_INVALID : options->check ? check(&settings, &diags) : serve(&settings);
    diags_fini(&diags);
    return code;
}

/* Whoever started us with a standard descriptor closed would find our sockets in its place. */
static void open_standard(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDWR);
}

int main(int argc, char **argv)
{
    static role_entry *const entries[ROLE_N] = {
        [ROLE_CORE] = core_main,
        [ROLE_ENFORCER] = enforcer_main,
    };
    struct options options = {0};
    if (argc > 1 && strcmp(argv[1], "--role") == 0)
        return role_main(argc, argv, entries);
    open_standard();
    log_init("masud", LOG_INFO);
    if (!parse(argc, argv, &options)) {
        (void)fputs(usage_text, stderr);
        return ROLE_EXIT_USAGE;
    }
    if (options.help)
        return fputs(usage_text, stdout) < 0;
    if (options.version)
        return printf("masud %s\n", MASU_VERSION) < 0;
    return run(&options);
}
