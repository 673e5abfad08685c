/* From servers to clients: framed, joined, and put into the order of the requests. */
#include "floor.h"

/* The end of the VALUE block that begins here; NULL if it has not come, and then `missing` says how much at least. */
static const char *block_end(const char *at, const char *end, size_t *missing)
{
    const char *line_end = memchr(at, '\n', (size_t)(end - at)), *blank;
    *missing = READ_LEAST;
    if (!line_end) return NULL;
    size_t size = number_before(line_end - 1, &blank) + 2, here = (size_t)(end - line_end - 1);
    if (VALIDATION) number_before(blank, &blank);
    *missing = size > here ? size - here : 0;
    if (*missing) return NULL;
    if (VALIDATION && (line_end[-1] != '\r' || memcmp(line_end + size - 1, "\r\n", 2))) die("not a value");
    return line_end + 1 + size;
}

static struct text value_key(const char *block)
{
    const char *key = block + strlen("VALUE ");
    return (struct text){key, (size_t)((const char *)memchr(key, ' ', KEY_MAX + 1) - key)};
}

/* Skips the asked keys up to this one; those before it were misses. */
static const char *find_asked(const char *asked, const char *end, struct text key)
{
    for (size_t length; asked < end; asked += length + 1) {
        length = *(const uint8_t *)asked;
        if (length == key.length && !memcmp(asked + 1, key.at, length)) return asked + 1 + length;
    }
    die("a value that was not asked for");
}

/* Replies of servers, copied to the request, put into the order of its keys. */
static void order_values(struct request *r, struct buffer *out)
{
    struct values *parts = (struct values *)r->parts.bytes;
    struct values *parts_end = (struct values *)(r->parts.bytes + r->parts.end);
    for (size_t at = 0; at < r->keys.end;) {
        struct values asked, *part = parts;
        memcpy(&asked, r->keys.bytes + at, sizeof asked);
        const char *name = r->keys.bytes + at + sizeof asked;
        at += sizeof asked + asked.at;
        while (part < parts_end && part->server != asked.server) part++;
        if (part == parts_end || part->at == part->end) continue;
        const char *block = r->reply.bytes + part->at;
        struct text key = value_key(block);
        if (key.length != asked.at || memcmp(key.at, name, key.length)) continue;
        size_t missing, length = (size_t)(block_end(block, r->reply.bytes + part->end, &missing) - block);
        append(out, block, length);
        part->at += length;
    }
    append(out, "END\r\n", 5);
}

static void answer_ready(struct session *session)
{
    for (struct request *r; (r = session->first) && !r->awaited;) {
        if (KEY_ORDER && r->is_split) order_values(r, &session->c.out);
        else append(&session->c.out, r->reply.bytes + r->reply.begin, r->reply.end - r->reply.begin);
        if (!(session->first = r->next)) session->last = &session->first;
        release(r);
    }
}

static void take_part(struct server *s, struct request *r, const char *bytes, size_t length)
{
    struct session *session = r->session;
    r->awaited--;
    if (!session) {
        if (!r->awaited) release(r);
        return;
    }
    if (!r->is_split && session->first == r) { /* the usual case: nothing waits, nothing is kept */
        append(&session->c.out, bytes, length);
    } else {
        struct values part = {(unsigned)(s - servers), r->reply.end, r->reply.end + length - 5};
        append(&r->reply, bytes, r->is_split ? length - 5 : length); /* without the END of each part */
        if (KEY_ORDER && r->is_split) append(&r->parts, &part, sizeof part);
        else if (r->is_split && !r->awaited) append(&r->reply, "END\r\n", 5);
    }
    if (session->first != r || r->awaited) return;
    mark_dirty(&session->c);
    answer_ready(session);
}

/* The end of the reply that begins here, or NULL as above. */
static const char *reply_end(const struct server *s, const char *at, const char *end, size_t *missing)
{
    const struct part *part = &s->ring[s->oldest];
    const char *asked = s->keys.bytes + s->keys.begin, *asked_end = asked + part->key_bytes;
    while (part->request->is_get && at < end && *at == 'V') {
        const char *next = block_end(at, end, missing);
        if (!next) return NULL;
        if (KEY_CHECK) asked = find_asked(asked, asked_end, value_key(at));
        at = next;
    }
    const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
    *missing = line_end ? 0 : READ_LEAST;
    if (VALIDATION && line_end) {
        const char *wanted = part->request->is_get ? "END\r" : "STORED\r";
        if ((size_t)(line_end - at) != strlen(wanted) || memcmp(at, wanted, strlen(wanted))) die("another reply");
    }
    return line_end ? line_end + 1 : NULL;
}

void read_replies(struct server *s)
{
    struct buffer *in = &s->c.in;
    while (in->begin < in->end) {
        if (!s->awaited) die("a reply to no request");
        struct part *part = &s->ring[s->oldest];
        const char *at = in->bytes + in->begin;
        size_t missing;
        const char *next = reply_end(s, at, in->bytes + in->end, &missing);
        if (!next) return make_room(in, missing);
        if (HISTOGRAMS) histogram_add(&s->latency[part->request->is_get], now - part->since);
        if (KEY_CHECK) drop(&s->keys, part->key_bytes);
        if (++s->oldest == s->room) s->oldest = 0;
        s->awaited--;
        take_part(s, part->request, at, (size_t)(next - at));
        drop(in, (size_t)(next - at));
    }
}
