"""Tokens: requests and time earn them, retries spend them."""

from mcroute._engine.alarms cimport server_notice
from mcroute._engine.state cimport HEDGES_MAX, RETRIES_MAX, TIMEOUT, PlanTable


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


cdef bint hedge_is_refused(Engine* engine) noexcept nogil:
    """Only requests earn tokens, no time: the extra load is a share of the load."""
    cdef double earned = engine.plan.hedge_share * <double>(engine.counts.requests - engine.hedge_counted)
    engine.hedge_counted = engine.counts.requests
    engine.hedge_tokens = min(engine.hedge_tokens + earned, <double>HEDGES_MAX)
    if engine.hedge_tokens >= 1:
        return False
    counter_add(&engine.counts.hedges_refused, 1)
    return True


cdef void hedges_sent(Engine* engine, Server* server, int count, bint is_free) noexcept nogil:
    counter_add(&engine.counts.hedges, count)
    counter_add(&server.counts.hedges, count)
    if not is_free:
        engine.hedge_tokens -= count
