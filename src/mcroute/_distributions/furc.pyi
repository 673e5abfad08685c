# Only for use from Cython: see furc.pxd.
