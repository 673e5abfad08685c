"""Tokens: requests and time earn them, retries spend them."""

from mcroute._engine.alarms cimport server_notice
from mcroute._engine.state cimport RETRIES_MAX, TIMEOUT, PlanTable


cdef void _fill_retries(Engine* engine) noexcept nogil:
    cdef PlanTable* plan = engine.plan
    cdef double earned = (plan.retry_share * <double>(engine.counts.requests - engine.retry_counted)
                          + plan.retry_floor * (engine.now - engine.retry_filled_at))
    engine.retry_counted = engine.counts.requests
    engine.retry_filled_at = engine.now
    engine.retry_tokens = min(engine.retry_tokens + earned, <double>RETRIES_MAX)
    if plan.retry_share == 0 and plan.retry_floor == 0:
        engine.retry_tokens = 0


cdef bint retry_is_refused(Engine* engine, Server* server) noexcept nogil:
    _fill_retries(engine)
    if engine.retry_tokens >= 1:
        return False
    counter_add(&engine.counts.retries_refused, 1)
    if server != NULL:
        counter_add(&server.counts.retries_refused, 1)
        server_notice(server)
    return True


cdef bint may_retry(Engine* engine, int outcome) noexcept nogil:
    """Only a retry after a timeout costs a token: a refused or reset request loads its first server no more."""
    if outcome != TIMEOUT or engine.is_failing_over:
        return True
    if retry_is_refused(engine, engine.late_server):
        return False
    engine.retry_tokens -= 1
    counter_add(&engine.counts.retries, 1)
    return True
