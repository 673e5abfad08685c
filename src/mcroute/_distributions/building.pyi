# Only for use from Cython: see building.pxd.
