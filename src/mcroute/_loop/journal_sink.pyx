"""Writes the records of journals into a file."""

from libc.errno cimport EFBIG, ENOSPC, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from mcroute._engine.server_words cimport mcroute_load, mcroute_swap
from mcroute._hashing cimport hash_crc32
from mcroute._loop.system cimport (
    close, dup, pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_trylock,
    pthread_mutex_unlock, pwrite,
)
from mcroute._protocol cimport KEY_MAX

import os

cdef enum:
    SIZE_BITS = 48
    HEAD = 10                   # a record's checksum (4 bytes), server (4), kind and size of the key (1 each)


cdef void _store(uint64_t* word, uint64_t value) noexcept nogil:
    while not mcroute_swap(word, mcroute_load(word), value):
        pass


cdef void _tell_size(FileSink* state) noexcept nogil:
    _store(&state.words[0], <uint64_t>state.file.serial << SIZE_BITS | state.file.size)


cdef size_t _lay_out(uint8_t* record, uint32_t server, int kind, const uint8_t* key, size_t size) noexcept nogil:
    cdef uint32_t checksum
    memcpy(record + 4, &server, 4)
    record[8] = <uint8_t>kind
    record[9] = <uint8_t>size
    if size > 0:
        memcpy(record + HEAD, key, size)
    checksum = hash_crc32(record + 4, HEAD - 4 + size)
    memcpy(record, &checksum, 4)
    return HEAD + size


cdef int _append(FileSink* state, SavedFile* file, const uint8_t* data, size_t size) noexcept nogil:
    """Returns 0, or the number of the error. A record that is written in part is overwritten by the next one."""
    cdef ssize_t written
    if file.size + size > state.size_max:
        return EFBIG
    written = pwrite(file.fd, data, size, <int64_t>file.size)
    if written < 0:
        return errno
    if <size_t>written < size:
        return ENOSPC
    file.size += size
    return 0


cdef bint _save(JournalSink* sink, int server, int kind, const uint8_t* key, size_t size) noexcept nogil:
    cdef FileSink* state = <FileSink*>sink
    cdef uint8_t[HEAD + KEY_MAX] record
    cdef size_t length = _lay_out(record, <uint32_t>server, kind, key, size)
    cdef int error = 0
    pthread_mutex_lock(&state.lock)
    if state.file.fd < 0:
        # Closed: another process may have the words.
        pthread_mutex_unlock(&state.lock)
        return False
    error = _append(state, &state.file, record, length)
    if error == 0:
        _tell_size(state)
    else:
        state.failures += 1
        state.error = error
        _store(&state.words[1], 1)
    if state.next.fd >= 0 and _append(state, &state.next, record, length) != 0:
        state.next.is_failed = True
    pthread_mutex_unlock(&state.lock)
    return error == 0


cdef void _close(FileSink* state, bint waits) noexcept nogil:
    cdef bint has_lock = True
    if waits:
        pthread_mutex_lock(&state.lock)
    else:
        has_lock = pthread_mutex_trylock(&state.lock) == 0
    if state.file.fd >= 0:
        close(state.file.fd)
    if state.next.fd >= 0:
        close(state.next.fd)
    state.file.fd = state.next.fd = -1
    if has_lock:
        pthread_mutex_unlock(&state.lock)


cdef class FileSaver(JournalSaver):
    """Saves journals in a file of at most `size_max` bytes. `memory` is for its two words, of 8 bytes each.

    The file `fd` has `size` bytes and the number `serial`. The caller keeps its descriptors; here are duplicates.
    Raises OSError without a descriptor for that.
    """

    def __cinit__(self, unsigned char[::1] memory not None, uint64_t size_max):
        if memory.shape[0] < 16 or size_max >= <uint64_t>1 << SIZE_BITS:
            raise ValueError("too little memory, or too large a file")
        self.memory = memory
        memset(&self.state, 0, sizeof(FileSink))
        if pthread_mutex_init(&self.state.lock, NULL) != 0:
            raise MemoryError
        self.is_ready = True
        self.pid = os.getpid()
        self.state.sink.save = _save
        self.state.file.fd = self.state.next.fd = -1
        self.state.size_max = size_max
        self.state.words = <uint64_t*>&self.memory[0]
        self.sink = &self.state.sink

    def __dealloc__(self):
        if self.is_ready:
            _close(&self.state, False)
            pthread_mutex_destroy(&self.state.lock)

    def begin(self, int fd, uint64_t size, uint16_t serial):
        """Makes a further file, which gets each record from now on; call `append`, then `finish` or `abandon`."""
        cdef int own = dup(fd)
        if own < 0:
            raise OSError(errno, os.strerror(errno))
        pthread_mutex_lock(&self.state.lock)
        self.state.next = SavedFile(own, serial, size, False)
        pthread_mutex_unlock(&self.state.lock)

    def append(self, const unsigned char[::1] records not None):
        """Appends whole records to the further file. Returns False if a record of it could not be written."""
        cdef size_t size = <size_t>records.shape[0]
        cdef const uint8_t* data = &records[0] if size > 0 else NULL
        cdef bint is_good
        with nogil:
            pthread_mutex_lock(&self.state.lock)
            if size > 0 and _append(&self.state, &self.state.next, data, size) != 0:
                self.state.next.is_failed = True
            is_good = not self.state.next.is_failed
            pthread_mutex_unlock(&self.state.lock)
        return is_good

    def finish(self, uint64_t failures):
        """Replaces the file by the further one; with the earlier value of `failures`, see `is_complete`.

        Returns False, and changes nothing, if a record of it could not be written.
        """
        cdef int before = -1
        pthread_mutex_lock(&self.state.lock)
        is_good = not self.state.next.is_failed
        if is_good:
            before = self.state.file.fd
            self.state.file, self.state.next.fd = self.state.next, -1
            _tell_size(&self.state)
            if self.state.failures == failures:
                _store(&self.state.words[1], 0)
        pthread_mutex_unlock(&self.state.lock)
        if before >= 0:
            close(before)
        return is_good

    def abandon(self):
        """Gives the further file up."""
        cdef int fd
        pthread_mutex_lock(&self.state.lock)
        fd, self.state.next.fd = self.state.next.fd, -1
        pthread_mutex_unlock(&self.state.lock)
        if fd >= 0:
            close(fd)

    def distrust(self):
        """Notes that the file proves nothing, until a further one replaces it."""
        pthread_mutex_lock(&self.state.lock)
        if self.state.file.fd >= 0:
            _store(&self.state.words[1], 1)
        pthread_mutex_unlock(&self.state.lock)

    def close(self):
        """Saves nothing more. The words are another process's from now on."""
        cdef bint is_child = os.getpid() != self.pid
        # In a forked child a thread of the parent may hold the lock, for ever.
        with nogil:
            _close(&self.state, not is_child)

    @property
    def size(self):
        """The file's size, in bytes."""
        return mcroute_load(&self.state.file.size)

    @property
    def serial(self):
        """The file's number."""
        return self.state.file.serial

    @property
    def is_complete(self):
        """Whether the file has every record, as far as the next process knows."""
        return mcroute_load(&self.state.words[1]) == 0

    @property
    def failures(self):
        """How often a record could not be written; only grows."""
        return mcroute_load(&self.state.failures)

    @property
    def error(self):
        """The number of the last error, as in `errno`: EFBIG without room below `size_max`."""
        return self.state.error
