# Only for use from Cython: see lines.pxd.
