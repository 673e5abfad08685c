"""The node for a primary with backups: the primary answers, the backups follow."""

from mcroute._engine.blocks cimport Slice
from mcroute._engine.state cimport PlanNode, Walk

cdef void backup_begins(Walk* walk, PlanNode* node) noexcept nogil
cdef void backup_child_ends(Walk* walk, int child, int outcome, Slice reply) noexcept nogil
