"""Lists in the order of their deadlines.

A Deadline is the first member of the structure that waits, so that a pointer to one is a pointer to the other.
"""

from libc.math cimport INFINITY

cdef struct Deadline:
    Deadline* next
    Deadline* previous
    double at

cdef struct Deadlines:
    Deadline* first
    Deadline* last


cdef inline void deadline_add(Deadlines* all, Deadline* deadline) noexcept nogil:
    """Adds at the end as a rule; not after a plan with shorter deadlines, or if the request waited behind a hold."""
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


cdef inline void deadline_remove(Deadlines* all, Deadline* deadline) noexcept nogil:
    if deadline.previous == NULL:
        all.first = deadline.next
    else:
        deadline.previous.next = deadline.next
    if deadline.next == NULL:
        all.last = deadline.previous
    else:
        deadline.next.previous = deadline.previous


# The earliest deadline; infinity if the list is empty.
cdef inline double deadlines_next(Deadlines* all) noexcept nogil:
    return all.first.at if all.first != NULL else INFINITY
