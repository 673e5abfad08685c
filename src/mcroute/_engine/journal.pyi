# Only for use from Cython: see journal.pxd.
