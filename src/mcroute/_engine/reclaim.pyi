# Only for use from Cython: see lifetimes.pxd.
