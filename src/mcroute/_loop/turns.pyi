# Only for use from Cython: see turns.pxd.
