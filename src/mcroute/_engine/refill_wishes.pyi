# Only for use from Cython: see refill_wishes.pxd.
