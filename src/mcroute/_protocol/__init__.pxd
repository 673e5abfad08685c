"""memcached's protocol in C: everything that another Cython module may cimport, by one name.

A parser is a pure function of the bytes at hand: it either completes one message, asks for more, or refuses.
"""

from mcroute._protocol.binary cimport (
    BINARY_HEADER, BINARY_MAGIC, BINARY_REFUSAL_MAX, binary_quits, binary_refusal, binary_size,
)
from mcroute._protocol.commands cimport command_find, command_is_withheld, command_text, version_line
from mcroute._protocol.credentials cimport is_authentication
from mcroute._protocol.encoders cimport (
    ENCODE_EXTRA, encode_arithmetic, encode_delete, encode_get, encode_store, encode_touch,
)
from mcroute._protocol.lexing cimport key_is_valid, request_next_key
from mcroute._protocol.refusals cimport (
    ErrorText, ERROR_NONE, ERROR_UNKNOWN, ERROR_FORMAT, ERROR_CHUNK, ERROR_TOO_LARGE, ERROR_LINE_LONG,
    ERROR_EXPTIME, ERROR_DELTA, ERROR_FLAG, ERROR_FLAG_TWICE, ERROR_FLAG_EITHER, ERROR_TOKEN, ERROR_OPAQUE,
    ERROR_OPTIONS, ERROR_MODE_SET, ERROR_MODE_ARITHMETIC, ERROR_KEY_CODE, ERROR_DELTA_VALUE,
    ERROR_INITIAL_VALUE, ERROR_NO_MEMORY, ERROR_NOT_OFFERED, ERROR_TEXT_COUNT, ERROR_TOO_LARGE_SILENT,
    ERROR_BINARY, ERROR_AUTHENTICATION, ERROR_TLS, ERROR_RESP, ERROR_SSH, error_text,
)
from mcroute._protocol.replies cimport reply_item, reply_parse
from mcroute._protocol.requests cimport (
    default_limits, request_binary, request_parse, request_part, request_resume,
)
from mcroute._protocol.views cimport (
    MCROUTE_PROTOCOL_API, KEY_MAX, OPAQUE_MAX, CMD_GET, CMD_GETS, CMD_GAT, CMD_GATS, CMD_SET, CMD_ADD,
    CMD_REPLACE, CMD_APPEND, CMD_PREPEND, CMD_CAS, CMD_DELETE, CMD_INCR, CMD_DECR, CMD_TOUCH, CMD_FLUSH_ALL,
    CMD_VERSION, CMD_VERBOSITY, CMD_STATS, CMD_QUIT, CMD_META_GET, CMD_META_SET, CMD_META_DELETE,
    CMD_META_ARITHMETIC, CMD_META_NOOP, CMD_META_DEBUG, COMMAND_COUNT, PARSED_OK, PARSED_MORE, PARSED_BAD,
    PARSED_CLOSE, REQ_NOREPLY, REQ_QUIET, REQ_BASE64, REQ_CANONICAL, REQ_HAS_KEY, REQ_HAS_OPAQUE,
    REQ_WANTS_VALUE, REQ_WANTS_CAS, REQ_OPEN, REQ_RESUMED, REPLY_VALUE, REPLY_END, REPLY_STORED,
    REPLY_NOT_STORED, REPLY_EXISTS, REPLY_NOT_FOUND, REPLY_DELETED, REPLY_TOUCHED, REPLY_OK, REPLY_NUMBER,
    REPLY_STAT, REPLY_VERSION, REPLY_ERROR, REPLY_CLIENT_ERROR, REPLY_SERVER_ERROR, REPLY_META_VALUE,
    REPLY_META_HIT, REPLY_META_MISS, REPLY_META_NOT_FOUND, REPLY_META_NOT_STORED, REPLY_META_EXISTS,
    REPLY_META_NOOP, REPLY_META_DEBUG, REPLY_RESET, REPLY_BUSY, REPLY_KIND_COUNT, Command, Limits, Parsed,
    ReplyKind, ReplyView, RequestFlag, RequestView,
)
