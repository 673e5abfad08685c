# Only for use from Cython: see laying.pxd.
