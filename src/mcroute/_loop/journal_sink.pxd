"""Writes the records of journals into a file, without the interpreter.

A record is in the pages of the kernel before the write that it is about is counted, so SIGKILL loses none. Two words of
memory, which the caller maps from another file, tell the next process how much of the file counts:

    word 0      the file's serial number (16 bits), and its size up to the end of the last record (48 bits)
    word 1      not 0: a record could not be written, so the file proves nothing

While a smaller file is being made, records go to both.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint16_t, uint64_t

from mcroute._engine.journal cimport JournalSink
from mcroute._engine.journals cimport JournalSaver
from mcroute._loop.system cimport pthread_mutex_t

cdef struct SavedFile:
    int fd                      # -1: there is none
    uint16_t serial
    uint64_t size
    bint is_failed              # a record could not be written

cdef struct FileSink:
    JournalSink sink            # first: the engine knows only this part
    pthread_mutex_t lock
    SavedFile file
    SavedFile next              # the file that is being made
    uint64_t size_max
    uint64_t* words
    uint64_t failures           # only grows
    int error                   # errno of the last failure

cdef class FileSaver(JournalSaver):
    cdef FileSink state
    cdef unsigned char[::1] memory
    cdef bint is_ready
    cdef int pid                # of the process that made it
