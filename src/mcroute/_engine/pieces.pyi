# Only for use from Cython: see pieces.pxd.
