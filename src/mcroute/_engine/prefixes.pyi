# Only for use from Cython: see prefixes.pxd.
