"""Stand-ins of other clients when the owner is out: orders that end before every server was tried."""

from mcroute._distributions.table cimport WalkRule

# Raises ValueError for a name that is not in WALKS.
cdef WalkRule walk_rule_find(str name) except NULL
