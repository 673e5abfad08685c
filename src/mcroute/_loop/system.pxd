"""The system calls of the loop (Linux)."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <arpa/inet.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <pthread.h>
    #include <signal.h>
    #include <stddef.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
    #include <sys/un.h>
    #include <time.h>
    #include <unistd.h>

    static inline double mcroute_seconds(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    }
    static inline int mcroute_watch(int epoll, int operation, int fd, uint32_t events, void *tag) {
        struct epoll_event event;
        memset(&event, 0, sizeof event);
        event.events = events;
        event.data.ptr = tag;
        return epoll_ctl(epoll, operation, fd, &event);
    }
    /* Sends replies at once (TCP_NODELAY), and finds a peer whose host is down (SO_KEEPALIVE). */
    static inline void mcroute_tune(int fd) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* unix sockets refuse it, and need none */
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    }
    static inline int mcroute_accept(int listener) {
        return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    /* As policy.keepalive. */
    struct mcroute_keepalive {
        int idle_s, interval_s, probes, unacknowledged_ms;
    };
    /* Closes a connection whose peer acknowledges nothing; unix sockets refuse the options. */
    static inline void mcroute_notice_silence(int fd, const struct mcroute_keepalive *keepalive) {
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive->idle_s, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &keepalive->interval_s, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &keepalive->probes, sizeof(int));
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &keepalive->unacknowledged_ms, sizeof(int));
    }
    static inline int mcroute_connect(const struct sockaddr_storage *address, socklen_t size,
                                      const struct mcroute_keepalive *keepalive) {
        struct linger discard = {1, 0};
        int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return -1;
        mcroute_tune(fd);
        mcroute_notice_silence(fd, keepalive);
        /* A close resets the connection, so that the system discards bytes that it has not sent. */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &discard, sizeof discard);
        if (connect(fd, (const struct sockaddr *)address, size) < 0 && errno != EINPROGRESS) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        return fd;
    }
    static inline int mcroute_socket_error(int fd) {
        int error = 0;
        socklen_t size = sizeof error;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
    }
    static inline void mcroute_own_name(int fd, struct sockaddr_storage *name) {
        socklen_t size = sizeof *name;
        memset(name, 0, sizeof *name);
        getsockname(fd, (struct sockaddr *)name, &size);
        if (name->ss_family == AF_UNIX) {
            /* Our end has no name: the listening process's id distinguishes connections to it from earlier ones. */
            struct ucred peer = {0, 0, 0};
            size = sizeof peer;
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
            memcpy(((struct sockaddr_un *)name)->sun_path, &peer.pid, sizeof peer.pid);
        }
    }
    static inline int mcroute_signal_init(pthread_cond_t *signal) {
        pthread_condattr_t attributes;
        int error;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        error = pthread_cond_init(signal, &attributes);
        pthread_condattr_destroy(&attributes);
        return error;
    }
    /* Waits for the signal. 0: the time `until`, in seconds of mcroute_seconds, has come. */
    static inline int mcroute_await(pthread_cond_t *signal, pthread_mutex_t *mutex, double until) {
        struct timespec t;
        t.tv_sec = (time_t)until;
        t.tv_nsec = (long)(1e9 * (until - (double)t.tv_sec));
        return pthread_cond_timedwait(signal, mutex, &t) != ETIMEDOUT;
    }
    /* The interpreter's threads handle all signals. */
    static inline void mcroute_block_signals(void) {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
    }
    /* 1 if `host` is a numeric address; an IPv6 address may end in % and the number of an interface. */
    static inline int mcroute_make_address(const char *host, int port, struct sockaddr_storage *out, socklen_t *size) {
        struct sockaddr_in *four = (struct sockaddr_in *)out;
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        const char *scope = strchr(host, '%');
        char bare[INET6_ADDRSTRLEN];
        memset(out, 0, sizeof *out);
        if (scope && scope - host < INET6_ADDRSTRLEN) {
            memcpy(bare, host, (size_t)(scope - host));
            bare[scope - host] = 0;
            six->sin6_scope_id = (uint32_t)strtoul(scope + 1, NULL, 10);
            if (six->sin6_scope_id == 0)
                return 0;
            host = bare;
        } else if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons((uint16_t)port);
            *size = sizeof *four;
            return 1;
        }
        if (inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons((uint16_t)port);
            *size = sizeof *six;
            return 1;
        }
        return 0;
    }
    static inline int mcroute_make_path(const char *path, struct sockaddr_storage *out, socklen_t *size) {
        struct sockaddr_un *un = (struct sockaddr_un *)out;
        if (strlen(path) >= sizeof un->sun_path)
            return 0;
        memset(out, 0, sizeof *out);
        un->sun_family = AF_UNIX;
        strcpy(un->sun_path, path);
        *size = sizeof *un;
        return 1;
    }
    /* Returns the port and writes the host; for a unix socket the process's id and "unix"; -1: no such name. */
    static inline int mcroute_name_of(const struct sockaddr_storage *name, char *host, size_t room) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)name;
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)name;
        if (name->ss_family == AF_UNIX && room > 4) {
            pid_t process;
            memcpy(&process, ((const struct sockaddr_un *)name)->sun_path, sizeof process);
            strcpy(host, "unix");
            return (int)process;
        }
        if (name->ss_family == AF_INET && inet_ntop(AF_INET, &four->sin_addr, host, (socklen_t)room))
            return ntohs(four->sin_port);
        if (name->ss_family == AF_INET6 && inet_ntop(AF_INET6, &six->sin6_addr, host, (socklen_t)room))
            return ntohs(six->sin6_port);
        return -1;
    }
    /* As recv and send. Those are points at which a thread may be cancelled, which in a process with threads costs
       two locked instructions more for each call; no thread of the loop is ever cancelled. */
    static inline ssize_t mcroute_recv(int fd, void *buffer, size_t size) {
    #ifdef SYS_recvfrom
        return (ssize_t)syscall(SYS_recvfrom, fd, buffer, size, 0, NULL, NULL);
    #else
        return recv(fd, buffer, size, 0);
    #endif
    }
    static inline ssize_t mcroute_send(int fd, const void *buffer, size_t size) {
    #ifdef SYS_sendto
        return (ssize_t)syscall(SYS_sendto, fd, buffer, size, MSG_NOSIGNAL, NULL, 0);
    #else
        return send(fd, buffer, size, MSG_NOSIGNAL);
    #endif
    }
    static inline ssize_t mcroute_writev(int fd, void *pieces, int count) {
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = (struct iovec *)pieces;
        message.msg_iovlen = (size_t)count;
        return sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    """
    enum: EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CLOEXEC
    enum: EFD_CLOEXEC, EFD_NONBLOCK, O_CLOEXEC, O_NONBLOCK
    enum: EMFILE, ENFILE, ENOBUFS, ENOMEM
    ctypedef uint32_t socklen_t
    struct sockaddr_storage:
        int ss_family
    ctypedef union epoll_data:
        void* ptr
    struct epoll_event:
        uint32_t events
        epoll_data data
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    double mcroute_seconds()
    int mcroute_watch(int epoll, int operation, int fd, uint32_t events, void* tag)
    void mcroute_tune(int fd)
    int mcroute_accept(int listener)
    struct mcroute_keepalive:
        int idle_s
        int interval_s
        int probes
        int unacknowledged_ms
    int mcroute_connect(const sockaddr_storage* address, socklen_t size, const mcroute_keepalive* keepalive)
    int mcroute_socket_error(int fd)
    void mcroute_own_name(int fd, sockaddr_storage* name)
    void mcroute_block_signals()
    int mcroute_make_address(const char* host, int port, sockaddr_storage* out, socklen_t* size)
    int mcroute_make_path(const char* path, sockaddr_storage* out, socklen_t* size)
    int mcroute_name_of(const sockaddr_storage* name, char* host, size_t room)
    ssize_t mcroute_writev(int fd, void* pieces, int count)
    int epoll_create1(int flags)
    int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms)
    int eventfd(unsigned int value, int flags)
    int pipe2(int* fds, int flags)
    ssize_t mcroute_recv(int fd, void* buffer, size_t size)
    ssize_t mcroute_send(int fd, const void* buffer, size_t size)
    ssize_t read(int fd, void* buffer, size_t size)
    ssize_t write(int fd, const void* buffer, size_t size)
    ssize_t pwrite(int fd, const void* buffer, size_t size, int64_t offset)
    int dup(int fd)
    int close(int fd)
    int pthread_mutex_init(pthread_mutex_t* mutex, void* attributes)
    int pthread_mutex_lock(pthread_mutex_t* mutex)
    int pthread_mutex_trylock(pthread_mutex_t* mutex)
    int pthread_mutex_unlock(pthread_mutex_t* mutex)
    int pthread_mutex_destroy(pthread_mutex_t* mutex)
    int pthread_cond_wait(pthread_cond_t* signal, pthread_mutex_t* mutex)
    int pthread_cond_signal(pthread_cond_t* signal)
    int pthread_cond_broadcast(pthread_cond_t* signal)
    int pthread_cond_destroy(pthread_cond_t* signal)
    int mcroute_signal_init(pthread_cond_t* signal)
    bint mcroute_await(pthread_cond_t* signal, pthread_mutex_t* mutex, double until)
