# Only for use from Cython: see listeners.pxd.
