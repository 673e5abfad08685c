# Only for use from Cython: see errands.pxd.
