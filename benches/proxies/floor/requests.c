/* From clients to servers: framed where they were read, hashed, forwarded as they came. */
#include "floor.h"

static struct request *spare_requests;

struct request *new_request(struct session *session, bool is_get)
{
    struct request *r = spare_requests;
    if (r) spare_requests = r->next;
    else *(r = resize(NULL, sizeof *r)) = (struct request){0};
    r->session = session;
    r->next = NULL;
    r->is_get = is_get;
    r->is_split = false;
    *session->last = r;
    session->last = &r->next;
    return r;
}

void release(struct request *r)
{
    empty(&r->reply);
    if (KEY_ORDER) empty(&r->keys), empty(&r->parts);
    r->next = spare_requests;
    spare_requests = r;
}

static struct server *owner(struct text key)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a; its high bits need a last multiplication */
    for (size_t i = 0; i < key.length; i++) hash = (hash ^ (uint8_t)key.at[i]) * 0x100000001b3;
    hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9;
    return &servers[(hash >> 32) * server_count >> 32];
}

static bool is_key(struct text key)
{
    bool is_fine = key.length && key.length <= KEY_MAX;
    for (size_t i = 0; i < key.length; i++) is_fine &= (uint8_t)key.at[i] > ' ' && key.at[i] != 0x7f;
    return is_fine;
}

static void remember(struct server *s, struct text key)
{
    uint8_t length = (uint8_t)key.length;
    append(&s->keys, &length, 1);
    append(&s->keys, key.at, key.length);
}

static void expect(struct server *s, struct request *r, size_t key_bytes)
{
    if (s->awaited == s->room) {
        struct part *ring = resize(NULL, (2 * s->room + 64) * sizeof *ring);
        for (unsigned i = 0; i < s->awaited; i++) ring[i] = s->ring[(s->oldest + i) % s->room];
        free(s->ring);
        s->ring = ring;
        s->oldest = 0;
        s->room = 2 * s->room + 64;
    }
    unsigned at = s->oldest + s->awaited++;
    s->ring[at < s->room ? at : at - s->room] = (struct part){r, now, key_bytes};
    r->awaited++;
    mark_dirty(&s->c);
}

static struct text next_key(const char **at, const char *end)
{
    const char *start = *at, *blank = memchr(start, ' ', (size_t)(end - start));
    *at = blank ? blank + 1 : end;
    return (struct text){start, (size_t)((blank ? blank : end) - start)};
}

static void forward_get(struct session *session, struct text line, struct text key)
{
    struct server *s = owner(key);
    append(&s->c.out, line.at, line.length);
    if (KEY_CHECK) remember(s, key);
    expect(s, new_request(session, true), key.length + 1);
}

static void split_get(struct session *session, const char *at, const char *end)
{
    unsigned touched[SERVERS_MAX], count = 0;
    struct request *r = new_request(session, true);
    r->is_split = true;
    while (at < end) {
        struct text key = next_key(&at, end);
        if (VALIDATION && !is_key(key)) die("not a key");
        struct server *s = owner(key);
        if (!s->in_split) {
            s->in_split = true;
            s->split_keys = 0;
            touched[count++] = (unsigned)(s - servers);
            append(&s->c.out, "get", 3);
        }
        append(&s->c.out, key.at - 1, key.length + 1);
        s->split_keys += key.length + 1;
        if (KEY_CHECK) remember(s, key);
        if (!KEY_ORDER) continue;
        struct values place = {.server = (unsigned)(s - servers), .at = key.length};
        append(&r->keys, &place, sizeof place);
        append(&r->keys, key.at, key.length);
    }
    for (unsigned i = 0; i < count; i++) {
        struct server *s = &servers[touched[i]];
        append(&s->c.out, "\r\n", 2);
        expect(s, r, s->split_keys);
        s->in_split = false;
    }
}

/* Bytes of the request; 0 if more have to come. */
static size_t forward_set(struct session *session, struct text line, size_t available)
{
    const char *blank, *at = line.at + 4;
    struct text key = next_key(&at, line.at + line.length);
    size_t total = line.length + number_before(line.at + line.length - 2, &blank) + 2;
    if (VALIDATION) number_before(blank, &blank), number_before(blank, &blank);
    if (VALIDATION && (!is_key(key) || blank != key.at + key.length)) die("not a set");
    if (available < total) {
        make_room(&session->c.in, total - available);
        return 0;
    }
    if (VALIDATION && memcmp(line.at + total - 2, "\r\n", 2)) die("a value of another length");
    struct server *s = owner(key);
    append(&s->c.out, line.at, total);
    expect(s, new_request(session, false), 0);
    return total;
}

void read_requests(struct session *session)
{
    struct buffer *in = &session->c.in;
    while (in->begin < in->end) {
        const char *at = in->bytes + in->begin, *end = in->bytes + in->end;
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (!line_end) return make_room(in, READ_LEAST);
        struct text line = {at, (size_t)(line_end + 1 - at)};
        if (line.length < 7 || (VALIDATION && line_end[-1] != '\r')) die("not a request");
        size_t used = line.length;
        if (!memcmp(at, "get ", 4)) {
            const char *rest = at + 4;
            struct text key = next_key(&rest, line_end - 1);
            if (VALIDATION && !is_key(key)) die("not a key");
            if (rest == line_end - 1) forward_get(session, line, key);
            else split_get(session, at + 4, line_end - 1);
        } else if (!memcmp(at, "set ", 4)) {
            used = forward_set(session, line, (size_t)(end - at));
        } else {
            die("only get and set are known");
        }
        if (!used) return;
        drop(in, used);
    }
}
