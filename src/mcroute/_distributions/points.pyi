# Only for use from Cython: see points.pxd.
