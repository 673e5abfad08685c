"""The table of refusals."""

cdef const char* ERROR_TEXTS[ERROR_TEXT_COUNT]
ERROR_TEXTS[<int>ERROR_NONE] = b""
ERROR_TEXTS[<int>ERROR_UNKNOWN] = b"ERROR\r\n"
ERROR_TEXTS[<int>ERROR_FORMAT] = b"CLIENT_ERROR bad command line format\r\n"
ERROR_TEXTS[<int>ERROR_CHUNK] = b"CLIENT_ERROR bad data chunk\r\n"
ERROR_TEXTS[<int>ERROR_TOO_LARGE] = b"SERVER_ERROR object too large for cache\r\n"
ERROR_TEXTS[<int>ERROR_TOO_LARGE_SILENT] = b""
ERROR_TEXTS[<int>ERROR_NO_MEMORY] = b"SERVER_ERROR out of memory storing object\r\n"
ERROR_TEXTS[<int>ERROR_LINE_LONG] = b""
ERROR_TEXTS[<int>ERROR_BINARY] = b""
ERROR_TEXTS[<int>ERROR_TLS] = b""
ERROR_TEXTS[<int>ERROR_RESP] = b"-ERR mcroute speaks memcached's text protocol only\r\n"
ERROR_TEXTS[<int>ERROR_SSH] = b""
ERROR_TEXTS[<int>ERROR_AUTHENTICATION] = b"CLIENT_ERROR authentication is not offered through mcroute\r\n"
ERROR_TEXTS[<int>ERROR_EXPTIME] = b"CLIENT_ERROR invalid exptime argument\r\n"
ERROR_TEXTS[<int>ERROR_DELTA] = b"CLIENT_ERROR invalid numeric delta argument\r\n"
ERROR_TEXTS[<int>ERROR_FLAG] = b"CLIENT_ERROR invalid flag\r\n"
ERROR_TEXTS[<int>ERROR_FLAG_TWICE] = b"CLIENT_ERROR duplicate flag\r\n"
ERROR_TEXTS[<int>ERROR_FLAG_EITHER] = b"CLIENT_ERROR invalid or duplicate flag\r\n"
ERROR_TEXTS[<int>ERROR_TOKEN] = b"CLIENT_ERROR bad token in command line format\r\n"
ERROR_TEXTS[<int>ERROR_OPAQUE] = b"CLIENT_ERROR opaque token too long\r\n"
ERROR_TEXTS[<int>ERROR_OPTIONS] = b"CLIENT_ERROR options flags are too long\r\n"
ERROR_TEXTS[<int>ERROR_MODE_SET] = b"CLIENT_ERROR invalid mode for ms M token\r\n"
ERROR_TEXTS[<int>ERROR_MODE_ARITHMETIC] = b"CLIENT_ERROR invalid mode for ma M token\r\n"
ERROR_TEXTS[<int>ERROR_KEY_CODE] = b"CLIENT_ERROR error decoding key\r\n"
ERROR_TEXTS[<int>ERROR_DELTA_VALUE] = b"CLIENT_ERROR invalid numeric delta value\r\n"
ERROR_TEXTS[<int>ERROR_INITIAL_VALUE] = b"CLIENT_ERROR invalid numeric initial value\r\n"
ERROR_TEXTS[<int>ERROR_NOT_OFFERED] = b"CLIENT_ERROR not offered through mcroute\r\n"

cdef size_t ERROR_SIZES[ERROR_TEXT_COUNT]
cdef int _index
for _index in range(<int>ERROR_TEXT_COUNT):
    ERROR_SIZES[_index] = len(<bytes>ERROR_TEXTS[_index])


cdef const char* error_text(int error, size_t* size) noexcept nogil:
    size[0] = ERROR_SIZES[error]
    return ERROR_TEXTS[error]
