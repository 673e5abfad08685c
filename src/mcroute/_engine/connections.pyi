# Only for use from Cython: see connections.pxd.
