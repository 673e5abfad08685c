"""Requests begin: as they come, or when what they have waited for is over."""

from mcroute._engine.state cimport ClientRequest, Engine

# Begins the request at the root of its plan. The request may be answered, and gone, on return.
cdef void request_begin(ClientRequest* request) noexcept nogil
# Begins what has waited behind a key that is held no more, and goes on with multigets whose turn it is; due at the end
# of whatever may have ended a request.
cdef void requests_resume(Engine* engine) noexcept nogil
# Begins what need not wait any more. Due when another engine has released something, and with each engine_check.
cdef void claims_resume(Engine* engine) noexcept nogil
# The engine ends: what waits begins now, whatever other engines do.
cdef void claims_abandon(Engine* engine) noexcept nogil

# Requests begin that have waited behind a key that is held no more; due in every turn after whatever may have ended
# a request but bytes, the loss of a link and engine_check, which see to it themselves.
cdef void engine_resume(Engine* engine, double now) noexcept nogil
