# Only for use from Cython: see throws.pxd.
