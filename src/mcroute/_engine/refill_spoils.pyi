# Only for use from Cython: see refill_spoils.pxd.
