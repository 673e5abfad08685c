# Only for use from Cython: see custom.pxd.
