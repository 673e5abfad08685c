"""Results of the parsers for a message: the vocabulary of the protocol in C.

Views hold offsets into the caller's buffer, counted from the start of the message; nothing is copied.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MCROUTE_PROTOCOL_API = 2    # increased when anything below changes
    KEY_MAX = 250               # bytes; also of a base64 key, encoded
    OPAQUE_MAX = 31             # without the letter O

cdef enum Command:
    # Numbered for use as table indices; the classic ones first.
    CMD_GET = 0
    CMD_GETS
    CMD_GAT
    CMD_GATS
    CMD_SET
    CMD_ADD
    CMD_REPLACE
    CMD_APPEND
    CMD_PREPEND
    CMD_CAS
    CMD_DELETE
    CMD_INCR
    CMD_DECR
    CMD_TOUCH
    CMD_FLUSH_ALL
    CMD_VERSION
    CMD_VERBOSITY
    CMD_STATS
    CMD_QUIT
    CMD_META_GET        # mg
    CMD_META_SET        # ms
    CMD_META_DELETE     # md
    CMD_META_ARITHMETIC  # ma
    CMD_META_NOOP       # mn
    CMD_META_DEBUG      # me
    COMMAND_COUNT

cdef enum Parsed:
    PARSED_OK = 0       # one whole message: view is valid, view.size bytes consumed
    # Incomplete: come back when at least view.size bytes are there (a lower bound). Of a request, view.line_size is
    # 0 as long as its line has no end.
    PARSED_MORE = 1
    # Request: answer error_text(view.error), swallow view.size bytes (maybe not all here yet), go on. Reply: its value
    # is larger than the caller's bound; swallow view.size bytes, the last two of which are to be a line end.
    PARSED_BAD = 2
    PARSED_CLOSE = 3    # request: answer error_text(view.error) (if not empty), then close; reply: link out of step

cdef enum RequestFlag:
    REQ_NOREPLY = 1     # classic: the client wants no reply
    REQ_QUIET = 2       # meta q
    REQ_BASE64 = 4      # meta b: the key is base64; it routes by its encoded spelling
    REQ_CANONICAL = 8   # the bytes are exactly what the encoder would write: may be forwarded verbatim
    REQ_HAS_KEY = 16    # meta k: the reply carries the key
    REQ_HAS_OPAQUE = 32  # meta O
    REQ_WANTS_VALUE = 64    # meta v
    REQ_WANTS_CAS = 128     # gets, gats, meta c
    REQ_OPEN = 256          # a part of a get: more keys of its line follow
    REQ_RESUMED = 512       # a part of a get that is not its first

cdef struct Limits:
    uint64_t value_max          # bytes; a larger announced value is refused and swallowed
    uint32_t line_max           # bytes before the line feed, but of get and gets
    uint32_t get_line_max       # the same of get and gets
    uint64_t flags_max          # the largest client flags: of 32 bits, unless servers are built for 64

cdef struct RequestView:
    uint64_t size               # whole message, line and data block
    uint32_t line_size          # command line with its line end (LF or CRLF)
    uint8_t command             # Command
    uint8_t error               # ErrorText, when refused
    uint16_t flags              # RequestFlag bits
    uint32_t key_offset         # first key
    uint32_t key_size
    uint32_t keys_end           # offset just behind the last key (get family: more keys lie in between)
    uint32_t key_count
    uint64_t value_offset       # == line_size when there is a value
    uint64_t value_size         # without the final CRLF
    uint64_t client_flags       # more than 32 bits: of a server that is built for such
    int64_t exptime             # also of gat, touch, flush_all's delay
    uint64_t number             # cas token, or the delta of incr/decr
    uint32_t flags_offset       # meta: where the flags begin (behind key and, for ms, length); classic stats: arguments
    uint32_t flags_end
    uint32_t opaque_offset      # meta O, without the letter
    uint32_t opaque_size
    uint8_t meta_mode           # meta M<char>, normalised to lower case by the command's own aliases; 0 = none

cdef enum ReplyKind:
    REPLY_VALUE = 0     # VALUE line and its data; more follow until REPLY_END
    REPLY_END
    REPLY_STORED
    REPLY_NOT_STORED
    REPLY_EXISTS
    REPLY_NOT_FOUND
    REPLY_DELETED
    REPLY_TOUCHED
    REPLY_OK
    REPLY_NUMBER        # incr/decr
    REPLY_STAT
    REPLY_VERSION
    REPLY_ERROR
    REPLY_CLIENT_ERROR
    REPLY_SERVER_ERROR
    REPLY_META_VALUE    # VA
    REPLY_META_HIT      # HD
    REPLY_META_MISS     # EN
    REPLY_META_NOT_FOUND    # NF
    REPLY_META_NOT_STORED   # NS
    REPLY_META_EXISTS   # EX
    REPLY_META_NOOP     # MN
    REPLY_META_DEBUG    # ME
    REPLY_RESET         # RESET
    REPLY_BUSY          # BUSY
    REPLY_KIND_COUNT

cdef struct ReplyView:
    uint64_t size               # bytes consumed: the line, and the data block of VALUE and VA
    uint32_t line_size
    uint8_t kind                # ReplyKind
    uint8_t error               # why it was refused (ErrorText)
    uint16_t has_cas
    uint32_t key_offset         # VALUE, ME; VA/HD/... when a k flag came back
    uint32_t key_size
    uint64_t client_flags       # more than 32 bits: of a server that is built for such
    uint64_t value_offset
    uint64_t value_size
    uint64_t number             # cas token of VALUE or meta c; the number of incr/decr
    uint32_t flags_offset       # meta: where the flags begin
    uint32_t flags_end
    uint32_t opaque_offset      # meta O, without the letter
    uint32_t opaque_size
