# Only for use from Cython: see blocks.pxd.
