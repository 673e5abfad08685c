# Only for use from Cython: see layout.pxd.
