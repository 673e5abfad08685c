# Only for use from Cython: see hedges.pxd.
