# Only for use from Cython: see alarms.pxd.
