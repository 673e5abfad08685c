# Only for use from Cython: see refill_replies.pxd.
