# Only for use from Cython: see trips.pxd.
