"""Kinds of nodes, groups of commands and outcomes: the enumerations of policy.nodes, in C."""

cdef enum:
    OUTCOME_COUNT = 15          # as policy.nodes.Outcome

cdef enum Group:                # of commands, as policy.nodes.Group
    GROUP_READ = 0
    GROUP_READ_CAS
    GROUP_READ_TOUCH
    GROUP_LAST_READ = 2         # those up to here only read
    GROUP_STORE = 3
    GROUP_STORE_IF
    GROUP_DELETE
    GROUP_ARITHMETIC
    GROUP_TOUCH
    GROUP_FLUSH
    GROUP_COUNT

cdef enum Variant:              # of meta commands, which memcached counts apart
    VARIANT_TOUCH = 0           # mg with T
    VARIANT_CAS                 # ms with C
    VARIANT_DECREMENT           # ma that counts down
    VARIANT_INVALIDATE          # md with I
    VARIANT_COUNT

cdef enum Authentication:       # first sets of a connection that count as authentication, as in policy.limits
    OF_KNOWN_KEYS = 0
    OF_ANY_KEY
    OF_NO_KEY

cdef enum Outcome:
    HIT = 0
    MISS
    STORED
    NOT_STORED
    EXISTS
    NOT_FOUND
    DELETED
    TOUCHED
    NUMBER
    OK
    REFUSED_BY_SERVER
    EJECTED
    LOST
    TIMEOUT
    OVERLOADED

cdef enum Purpose:              # of an ask
    CARRY_OUT = 0               # the request itself
    UNDO                        # deletes the key, or sets its new lifetime (touch)
    LOOK                        # asks whether the copy has the key

cdef enum NodeKind:
    NODE_ASK
    NODE_FIRST
    NODE_ALL
    NODE_THEN
    NODE_DETACH
    NODE_SWITCH_COMMAND
    NODE_SWITCH_PREFIX
    NODE_CONSTANT
    NODE_PYTHON
    NODE_BACKUP
    NODE_REFILL                 # of no route: see refills.pxd
