# Only for use from Cython: see replies.pxd.
