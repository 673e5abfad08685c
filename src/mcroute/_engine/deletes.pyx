"""The requests that delete the keys that an engine has noted, as clients have sent them."""


cdef bytes _delete(bytes key, bint is_base64):
    if is_base64:
        # Only meta commands take a key in base64.
        return b"md %b b\r\n" % key
    # Every memcached accepts the argument 0, and current ones ignore it; `noreply` alone would be an option.
    return b"delete noreply 0\r\n" if key == b"noreply" else b"delete %b\r\n" % key


cdef list deletes_of(const uint8_t* taken, uint32_t count):
    requests = []
    for _ in range(count):
        requests.append(_delete(taken[2:2 + taken[1]], taken[0] != 0))
        taken += 2 + taken[1]
    return requests
