# Only for use from Cython: see tokens.pxd.
