/*
 * Records, in one order, everything that changes the files below a folder, for the power-cut suite; and makes the disk
 * full, broken or lying for the others. Loaded with LD_PRELOAD into the child that writes, never into the checker.
 *
 *   HOLDFAST_SHIM_ROOT        the folder; no symbolic link in it
 *   HOLDFAST_SHIM_LOG         where the recording goes; must not lie below the root
 *   HOLDFAST_SHIM_ROOM        bytes that may be written below <root>/data until the disk is full
 *   HOLDFAST_SHIM_SYNC_FAILS  the number of the one sync below <root>/data that fails with EIO
 *   HOLDFAST_SHIM_LIES        syncs of files whose path ends so have no effect, but say they had
 *
 * One lock is held over each call and its record, so the order recorded is the order in which things happened. A sync is
 * not passed on to the real disk: what counts is the recording, and the suite should not wear a disk out.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { WRITE = 'W', TRUNCATE = 'T', GROW = 'G', CREATE = 'C', MKDIR = 'D', RENAME = 'R', UNLINK = 'U', LINK = 'L', SYNC = 'S', FAILED_SYNC = 'F' };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_len;
static const char *lies;
static long long room = -1, syncs_until_failure = -1;
static int log_fd = -1;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("HOLDFAST_SHIM_ROOT"), *log = getenv("HOLDFAST_SHIM_LOG");
    if (!path || !log) return;
    snprintf(root, sizeof root, "%s/", path);
    root_len = strlen(root);
    if (getenv("HOLDFAST_SHIM_ROOM")) room = atoll(getenv("HOLDFAST_SHIM_ROOM"));
    if (getenv("HOLDFAST_SHIM_SYNC_FAILS")) syncs_until_failure = atoll(getenv("HOLDFAST_SHIM_SYNC_FAILS"));
    lies = getenv("HOLDFAST_SHIM_LIES");
    log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* At exit: whoever is in a call finishes it with its record, nobody begins another. */
__attribute__((destructor)) static void stop(void) {
    pthread_mutex_lock(&lock);
}

/* What of an absolute path lies below the root; NULL when it does not. */
static const char *below(const char *path) {
    return log_fd >= 0 && strncmp(path, root, root_len) == 0 ? path + root_len : NULL;
}

static const char *path_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (n < 0) return NULL;
    out[n] = 0;
    /* A file without a name is gone after a power cut, whatever is written to it. */
    if (n > 10 && strcmp(out + n - 10, " (deleted)") == 0) return NULL;
    return below(out);
}

static const char *resolve(int dir, const char *path, char *out) {
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
        return below(out);
    }
    char base[PATH_MAX];
    if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return NULL;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        if (n < 0) return NULL;
        base[n] = 0;
    }
    if (snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return NULL;
    return below(out);
}

static void record(enum op op, const char *path, const char *to, uint64_t offset, const void *data, uint64_t len) {
    struct __attribute__((packed)) { uint8_t op; uint32_t path, to; uint64_t offset, len; } head =
        { op, strlen(path), to ? strlen(to) : 0, offset, len };
    struct iovec parts[4] = { { &head, sizeof head }, { (void *)path, head.path }, { (void *)to, head.to }, { (void *)data, len } };
    ssize_t whole = sizeof head + head.path + head.to + len;
    int saved = errno;
    if (syscall(SYS_writev, log_fd, parts, 4) != whole) {
        static const char text[] = "shim: the recording cannot be written\n";
        syscall(SYS_write, 2, text, sizeof text - 1);
        abort();
    }
    errno = saved;
}

/* How many of `want` bytes still fit below <root>/data; -1 when none does. */
static ssize_t fits(const char *path, size_t want) {
    if (!path || room < 0 || want == 0 || strncmp(path, "data/", 5) != 0) return want;
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    size_t take = (long long)want < room ? want : (size_t)room;
    room -= take;
    return take;
}

static void record_sync_if_asked(int fd, const char *path) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_DSYNC)) record(SYNC, path, NULL, 0, NULL, 0);
}

ssize_t write(int fd, const void *data, size_t len) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd, buffer);
    ssize_t n = fits(path, len);
    if (n >= 0) n = syscall(SYS_write, fd, data, (size_t)n);
    if (n > 0 && path) {
        record(WRITE, path, NULL, (uint64_t)lseek(fd, 0, SEEK_CUR) - n, data, n);
        record_sync_if_asked(fd, path);
    }
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd, buffer);
    ssize_t n = fits(path, len);
    if (n >= 0) n = syscall(SYS_pwrite64, fd, data, (size_t)n, offset);
    if (n > 0 && path) {
        record(WRITE, path, NULL, offset, data, n);
        record_sync_if_asked(fd, path);
    }
    pthread_mutex_unlock(&lock);
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) { return pwrite64(fd, data, len, offset); }

/* A short count is allowed, so only the first part that is not empty is written: the caller comes again. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len > 0) return write(fd, parts[i].iov_base, parts[i].iov_len);
    return 0;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    for (int i = 0; i < count; i++)
        if (parts[i].iov_len > 0) return pwrite64(fd, parts[i].iov_base, parts[i].iov_len, offset);
    return 0;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return pwritev64(fd, parts, count, offset); }

static int sync_file(int fd) {
    char buffer[PATH_MAX];
    int result = 0;
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd, buffer);
    if (path) {
        size_t len = strlen(path), tail = lies ? strlen(lies) : 0;
        if (syncs_until_failure > 0 && strncmp(path, "data/", 5) == 0 && --syncs_until_failure == 0) {
            record(FAILED_SYNC, path, NULL, 0, NULL, 0);
            errno = EIO;
            result = -1;
        } else if (!lies || len < tail || strcmp(path + len - tail, lies) != 0) {
            record(SYNC, path, NULL, 0, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_file(fd); }
int fdatasync(int fd) { return sync_file(fd); }

/* Promises nothing about the device's cache or a file's growth, so it counts for nothing. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags) {
    (void)fd, (void)offset, (void)len, (void)flags;
    return 0;
}

int ftruncate64(int fd, off64_t len) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd, buffer);
    int result = syscall(SYS_ftruncate, fd, len);
    if (result == 0 && path) record(TRUNCATE, path, NULL, len, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t len) { return ftruncate64(fd, len); }

int truncate64(const char *name, off64_t len) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = resolve(AT_FDCWD, name, buffer);
    int result = syscall(SYS_truncate, name, len);
    if (result == 0 && path) record(TRUNCATE, path, NULL, len, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int truncate(const char *name, off_t len) { return truncate64(name, len); }

int fallocate64(int fd, int mode, off64_t offset, off64_t len) {
    char buffer[PATH_MAX];
    if (mode != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    pthread_mutex_lock(&lock);
    const char *path = path_of(fd, buffer);
    int result = syscall(SYS_fallocate, fd, mode, offset, len);
    if (result == 0 && path) record(GROW, path, NULL, offset + len, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int fallocate(int fd, int mode, off_t offset, off_t len) { return fallocate64(fd, mode, offset, len); }
int posix_fallocate64(int fd, off64_t offset, off64_t len) { return fallocate64(fd, 0, offset, len) == 0 ? 0 : errno; }
int posix_fallocate(int fd, off_t offset, off_t len) { return posix_fallocate64(fd, offset, len); }

static int open_at(int dir, const char *name, int flags, mode_t mode) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = resolve(dir, name, buffer);
    int existed = path && syscall(SYS_faccessat, AT_FDCWD, buffer, F_OK) == 0;
    int fd = syscall(SYS_openat, dir, name, flags, mode);
    if (fd >= 0 && path) {
        if (!existed && (flags & O_CREAT)) record(CREATE, path, NULL, 0, NULL, 0);
        if (existed && (flags & O_TRUNC)) record(TRUNCATE, path, NULL, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }

int open64(const char *name, int flags, ...) { MODE(flags, mode) return open_at(AT_FDCWD, name, flags, mode); }
int open(const char *name, int flags, ...) { MODE(flags, mode) return open_at(AT_FDCWD, name, flags, mode); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags, mode) return open_at(dir, name, flags, mode); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags, mode) return open_at(dir, name, flags, mode); }
int creat64(const char *name, mode_t mode) { return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat(const char *name, mode_t mode) { return creat64(name, mode); }

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *from_path = resolve(from_dir, from, from_buffer), *to_path = resolve(to_dir, to, to_buffer);
    int result = syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (result == 0 && from_path && to_path) record(RENAME, from_path, to_path, flags, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) { return renameat2(from_dir, from, to_dir, to, 0); }
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char from_buffer[PATH_MAX], to_buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *from_path = resolve(from_dir, from, from_buffer), *to_path = resolve(to_dir, to, to_buffer);
    int result = syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (result == 0 && from_path && to_path) record(LINK, from_path, to_path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int dir, const char *name, int flags) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = resolve(dir, name, buffer);
    int result = syscall(SYS_unlinkat, dir, name, flags);
    if (result == 0 && path) record(UNLINK, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int dir, const char *name, mode_t mode) {
    char buffer[PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *path = resolve(dir, name, buffer);
    int result = syscall(SYS_mkdirat, dir, name, mode);
    if (result == 0 && path) record(MKDIR, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
