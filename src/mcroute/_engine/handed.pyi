# Only for use from Cython: see handed.pxd.
