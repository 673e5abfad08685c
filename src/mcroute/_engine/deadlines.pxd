"""Lists of what waits, in the order of its deadlines.

A Deadline is the first member of what it belongs to, so that a pointer to the one is a pointer to the other.
"""

from libc.math cimport INFINITY

cdef struct Deadline:
    Deadline* next
    Deadline* previous
    double at

cdef struct Deadlines:
    Deadline* first
    Deadline* last


cdef inline void deadline_note(Deadlines* all, Deadline* deadline) noexcept nogil:
    """Last as a rule; not when a plan with shorter deadlines has come, or its request has waited behind a hold."""
    cdef Deadline* before = all.last
    while before != NULL and before.at > deadline.at:
        before = before.previous
    deadline.previous = before
    deadline.next = all.first if before == NULL else before.next
    if before == NULL:
        all.first = deadline
    else:
        before.next = deadline
    if deadline.next == NULL:
        all.last = deadline
    else:
        deadline.next.previous = deadline


cdef inline void deadline_forget(Deadlines* all, Deadline* deadline) noexcept nogil:
    if deadline.previous == NULL:
        all.first = deadline.next
    else:
        deadline.previous.next = deadline.next
    if deadline.next == NULL:
        all.last = deadline.previous
    else:
        deadline.next.previous = deadline.previous


# The earliest there is; infinity if there is none.
cdef inline double deadlines_next(Deadlines* all) noexcept nogil:
    return all.first.at if all.first != NULL else INFINITY
