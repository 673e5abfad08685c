# Only for use from Cython: see claims.pxd.
