# Only for use from Cython: see overdue.pxd.
