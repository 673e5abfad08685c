# Only for use from Cython: see jump.pxd.
