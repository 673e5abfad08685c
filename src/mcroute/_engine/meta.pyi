# Only for use from Cython: see meta.pxd.
