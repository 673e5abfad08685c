# Only for use from Cython: see observing.pxd.
