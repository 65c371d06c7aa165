#include "model/frame.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

/*
 * The input is a tape: the decoder reads frame after frame as the archiver reads the journal. Checksums would
 * hide the payload decoders from a fuzzer, so each frame is also handed on as if its checksum were right.
 * Whatever is decoded is encoded again and must come out the same.
 */

static struct row last_row;
static bool has_last_row;

static void check_row(const struct row *row)
{
    struct buf again = BUF_NULL;
    struct frame_decoder *decoder = frame_decoder_new();
    struct frame_header header;
    struct frame_news news;
    const void *payload;
    if (!decoder)
        abort();
    frame_put_keyframe(&again, 1, 3, has_last_row ? &last_row : row);
    size_t second = again.len;
    frame_put_delta(&again, 2, 3, has_last_row ? &last_row : row, row);
    if (frame_peek(again.data, again.len, &header, &payload) ||
        frame_decode(decoder, &header, payload, &news))
        abort();
    if (frame_peek(again.data + second, again.len - second, &header, &payload) ||
        frame_decode(decoder, &header, payload, &news) || memcmp(news.row, row, sizeof *row) != 0)
        abort();
    last_row = *row;
    has_last_row = true;
    frame_decoder_free(decoder);
    buf_fini(&again);
}

static void check_event(const struct event *event)
{
    struct buf again = BUF_NULL;
    frame_put_event(&again, 1, event);
    if (buf_error(&again) || again.len > frame_size(FRAME_PAYLOAD_MAX))
        abort();
    buf_fini(&again);
}

static void check_news(const struct frame_news *news)
{
    if (news->row)
        check_row(news->row);
    if (news->event)
        check_event(news->event);
    if (news->identity && memchr(news->identity->path, '\0', GROUP_PATH_MAX) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct frame_decoder *decoder = frame_decoder_new();
    if (!decoder)
        abort();
    has_last_row = false;
    while (size > 0) {
        struct frame_header header;
        struct frame_news news;
        const void *payload;
        int result = frame_peek(bytes, size, &header, &payload);
        if (result == FRAME_SHORT)
            break;
        size_t taken = 1;
        if (result == FRAME_OK) {
            taken = frame_size(header.len);
        } else if (size >= 2) {
            /* type, then a length of the payload that may be all that is left */
            header = (struct frame_header){.type = bytes[0] % (FRAME_EVENT + 2), .len = bytes[1]};
            header.len = header.len < size - 2 ? header.len : (uint32_t)(size - 2);
            payload = bytes + 2;
            taken = 2 + header.len;
        } else {
            break;
        }
        if (frame_decode(decoder, &header, payload, &news) == 0)
            check_news(&news);
        bytes += taken;
        size -= taken;
    }
    frame_decoder_free(decoder);
    return 0;
}
