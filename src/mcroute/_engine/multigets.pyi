# Only for use from Cython: see multigets.pxd.
