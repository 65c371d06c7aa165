/*
 * The archiver: owner of the journal, the event log and the archive's files. It reads the bus in slices,
 * ticks once a second, and passes each query on to a reader of its own after writing what the query asks
 * about.
 */

#include "agent/bus.h"
#include "agent/role.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "exporters/archive.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10 };
#define TICK_NS NSEC_PER_SEC
#define STOP_NS (2 * NSEC_PER_SEC) /* well below ROLE_STOP_S, which core's stop has a part of */

struct archiver {
    struct role_context *context;
    struct bus_reader *bus;
    struct archive *archive;
    struct buf frames;
    struct loop_watch wake;
    struct loop_timer tick;
    struct loop_job reading;
};

static void report(struct archiver *archiver)
{
    char text[ARCHIVE_TEXT_MAX];

    if (archive_trouble(archiver->archive, text))
        log_warn("archive", "%s", text);
}

/* Who is alive, from the bus's views, for an archive that lost the frames that said so. */
static void put_born(const struct archiver *archiver, struct buf *out)
{
    struct view *view = malloc(sizeof *view);
    uint32_t limit = bus_view_limit(archiver->bus);

    for (uint32_t slot = 0; view && slot < limit; slot++)
        if (bus_view_read(archiver->bus, slot, view)) {
            struct frame_born born = {.slot = slot,
                                      .wall_ns = view->born_wall_ns,
                                      .mono_ns = view->row.mono_ns,
                                      .identity = view->identity};
            frame_put_born(out, 0, &born);
        }
    free(view);
}

static void on_lost(struct archiver *archiver, uint64_t count)
{
    struct buf born = BUF_NULL;

    put_born(archiver, &born);
    if (buf_error(&born) == 0)
        archive_lost(archiver->archive, bus_life(archiver->bus), count, &born);
    else
        log_error("archive", "out of memory after frames were lost, waiting for births");
    buf_fini(&born);
}

/* Takes one batch. False when the bus has no more. */
static bool take_batch(struct archiver *archiver)
{
    uint64_t lost = 0;
    int r;

    buf_clear(&archiver->frames);
    r = bus_read(archiver->bus, READ_BYTES, &archiver->frames, &lost);
    if (r == BUS_LAPPED)
        on_lost(archiver, lost);
    else if (r == BUS_FRAMES)
        archive_take(archiver->archive, bus_life(archiver->bus), &archiver->frames);
    else if (r < 0)
        log_error("archive", "reading the bus: %s, trying again", strerror(-r));
    return r == BUS_LAPPED || r == BUS_FRAMES;
}

static bool read_slice(void *owner, uint64_t until_ns)
{
    struct archiver *archiver = owner;
    bool more = true;

    while (more && clock_mono_ns() < until_ns)
        more = take_batch(archiver);
    report(archiver);
    return more;
}

static void on_wake(void *owner, int fd, unsigned what)
{
    struct archiver *archiver = owner;
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof count) < 0 && errno != EAGAIN)
        log_debug("archive", "wake: %s", strerror(errno));
    loop_job_start(&archiver->reading);
}

static void on_tick(void *owner)
{
    struct archiver *archiver = owner;
    uint64_t now_ns = clock_mono_ns();

    loop_job_start(&archiver->reading); /* a core that died between publishing and waking */
    archive_tick(archiver->archive, now_ns, clock_wall_ns());
    report(archiver);
    loop_timer_arm_at(&archiver->tick, now_ns + TICK_NS);
}

/* --- queries --- */

static void on_query(struct archiver *archiver, struct channel_message *message)
{
    struct message_query query;

    if (message->len != sizeof query || message->fd_count != 1) {
        log_warn("archive", "a malformed query, refusing it");
        return;
    }
    memcpy(&query, message->body, sizeof query);
    query.key[sizeof query.key - 1] = query.path[sizeof query.path - 1] = '\0';
    while (take_batch(archiver))
        ;
    const char *key = *query.path ? archive_key_of_path(archiver->archive, query.path) : NULL;
    if (key)
        str_copy(query.key, sizeof query.key, key);
    if (query.kind != QUERY_EVENTS)
        archive_flush(archiver->archive, query.key);
    report(archiver);
    struct link_letter letter = {.type = MESSAGE_START_READER,
                                 .id = message->id,
                                 .body = &query,
                                 .len = sizeof query,
                                 .fds = message->fds,
                                 .fd_count = 1};
    int r = role_send(archiver->context, ROLE_PARENT, &letter);
    if (r != ROLE_SENT)
        log_warn("archive", "cannot ask for a reader (%d), the query of '%s' gets no answer", r, query.key);
}

static void on_message(void *owner, enum role_id from, struct channel_message *message)
{
    if (message->type == MESSAGE_QUERY && from == ROLE_GATEWAY)
        on_query(owner, message);
    else
        log_warn("archive", "unexpected %s of %s, ignoring it", message_name(message->type),
                 roles[from].name);
}

static void on_stop(void *owner)
{
    struct archiver *archiver = owner;
    uint64_t until_ns = clock_mono_ns() + STOP_NS;

    while (take_batch(archiver)) /* to the journal, however long it takes: the bus ends with masud */
        ;
    archive_flush_all(archiver->archive, until_ns);
    report(archiver);
    loop_stop(archiver->context->loop, 0);
}

/* --- start and stop --- */

static int open_archive(struct archiver *archiver)
{
    const struct settings *settings = archiver->context->settings;
    const struct archive_options options = {
        .state_dir = settings->state_dir,
        .step_ns = settings->archive_step_ns / NSEC_PER_SEC * NSEC_PER_SEC,
        .after_ns = settings->archive_after_ns,
        .flush_ns = settings->archive_flush_ns,
        .interval_ns = settings->interval_ns,
        .max_bytes = settings->archive_max_bytes,
        .journal_max_bytes = settings->journal_max_bytes,
    };
    int r = archive_open(&options, &archiver->archive);

    if (r < 0) {
        log_error("archive", "%s: %s, starting again later", settings->state_dir, strerror(-r));
        return r;
    }
    struct archive_stats stats = archive_stats(archiver->archive);
    log_info("archive", "%llu frames replayed, %llu bytes of a torn tail cut",
             (unsigned long long)stats.frames_replayed, (unsigned long long)stats.cut_bytes);
    return 0;
}

static int open_bus(struct archiver *archiver)
{
    int r = bus_reader_open(archiver->context->bus_fd, &archiver->bus);

    if (r < 0) {
        log_error("archive", "the bus: %s", strerror(-r));
        return r;
    }
    uint64_t next = archive_next_sequence(archiver->archive, bus_life(archiver->bus));
    uint64_t lost = bus_seek(archiver->bus, next);
    if (lost > 0)
        on_lost(archiver, lost);
    return 0;
}

static int start(struct archiver *archiver)
{
    struct loop *loop = archiver->context->loop;
    int r;

    if ((r = open_archive(archiver)) < 0 || (r = open_bus(archiver)) < 0)
        return r;
    if ((r = loop_job_init(&archiver->reading, loop, read_slice, archiver)) < 0 ||
        (r = loop_timer_init(&archiver->tick, loop, LOOP_NORMAL, on_tick, archiver)) < 0)
        return r;
    return loop_watch_init(&archiver->wake, loop, archiver->context->wake_fd, LOOP_READ, LOOP_NORMAL, on_wake,
                           archiver);
}

static void finish(struct archiver *archiver)
{
    loop_watch_fini(&archiver->wake);
    loop_timer_fini(&archiver->tick);
    loop_job_fini(&archiver->reading);
    buf_fini(&archiver->frames);
    bus_reader_close(archiver->bus);
    archive_close(archiver->archive);
}

int archiver_main(struct role_context *context)
{
    static const struct role_handlers handlers = {.on_message = on_message, .on_stop = on_stop};
    struct archiver archiver = {.context = context};
    int code = 1;

    if (start(&archiver) == 0) {
        role_handle(context, &handlers, &archiver);
        loop_timer_arm_at(&archiver.tick, clock_mono_ns());
        code = loop_run(context->loop);
    }
    finish(&archiver);
    return code;
}
