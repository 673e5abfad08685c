# Only for use from Cython: see undo.pxd.
