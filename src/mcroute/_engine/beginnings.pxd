"""Begins requests: at once, or after the hold or the claim that they waited for."""

from mcroute._engine.state cimport ClientRequest, Engine

# Begins the request at the root of its plan. The request may be answered, and freed, on return.
cdef void request_begin(ClientRequest* request) noexcept nogil
# Begins requests whose hold has ended, and goes on with multigets whose turn it is. Call after each operation that
# may have ended a request.
cdef void requests_resume(Engine* engine) noexcept nogil
# Begins requests that need not wait for other engines any more. Call when another engine has released a slot;
# engine_check calls it too.
cdef void claims_resume(Engine* engine) noexcept nogil
# Begins all waiting requests, whatever other engines do: the engine ends.
cdef void claims_end(Engine* engine) noexcept nogil

# Does requests_resume. The driver calls it in every turn in which requests may have ended otherwise than by received
# bytes, the loss of a link or engine_check: these call it themselves.
cdef void engine_resume(Engine* engine, double now) noexcept nogil
