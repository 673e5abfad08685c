# Only for use from Cython: see binary.pxd.
