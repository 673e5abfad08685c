# Only for use from Cython: see calls.pxd.
