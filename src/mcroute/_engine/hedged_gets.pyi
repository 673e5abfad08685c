# Only for use from Cython: see hedged_gets.pxd.
