"""What the engines of one proxy share about its servers."""

from mcroute._engine.words cimport ServerWord

cdef class Words:
    cdef ServerWord** words
    cdef int count
    cdef ServerWord* word(self, int server) except NULL
