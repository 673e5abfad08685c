# Only for use from Cython: see outgoing.pxd.
