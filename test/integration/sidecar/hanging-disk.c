/*
 * Preloaded into a process, it makes calls on files below $HANGING_DIRECTORY hang for as long as $HANGING_WHILE exists,
 * as on a volume whose storage is out of reach: the calling thread waits in the kernel, and no signal helps. So do writes
 * to the standard output, as when the runtime that takes a container's log waits for such a volume. While
 * $HANGING_WHILE.slowly exists, each takes a quarter of a second.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void hang_on_path(const char *path) {
  const char *directory = getenv("HANGING_DIRECTORY"), *file = getenv("HANGING_WHILE");
  if (path == NULL || directory == NULL || file == NULL || strncmp(path, directory, strlen(directory)) != 0) return;
  while (access(file, F_OK) == 0) usleep(10000);
  char slowly[4096];
  snprintf(slowly, sizeof slowly, "%s.slowly", file);
  if (access(slowly, F_OK) == 0) usleep(250000);
}

static void hang_on_descriptor(int fd) {
  char link[64], path[4096];
  if (fd == STDOUT_FILENO) hang_on_path(getenv("HANGING_DIRECTORY"));
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = '\0';
  hang_on_path(path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define ON_DESCRIPTOR(type, name, parameters, ...) \
  type name parameters { \
    hang_on_descriptor(fd); \
    return REAL(name)(__VA_ARGS__); \
  }

ON_DESCRIPTOR(ssize_t, write, (int fd, const void *data, size_t size), fd, data, size)
ON_DESCRIPTOR(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
ON_DESCRIPTOR(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)
ON_DESCRIPTOR(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at), fd, parts, count, at)
ON_DESCRIPTOR(ssize_t, pwritev64, (int fd, const struct iovec *parts, int count, off64_t at), fd, parts, count, at)
ON_DESCRIPTOR(ssize_t, pread, (int fd, void *data, size_t size, off_t at), fd, data, size, at)
ON_DESCRIPTOR(ssize_t, pread64, (int fd, void *data, size_t size, off64_t at), fd, data, size, at)
ON_DESCRIPTOR(int, fdatasync, (int fd), fd)
ON_DESCRIPTOR(int, fsync, (int fd), fd)

int unlink(const char *path) {
  hang_on_path(path);
  return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
  hang_on_path(path);
  return ((int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir"))(path, mode);
}

static mode_t mode_of(int flags, va_list rest) {
  return flags & O_CREAT ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = mode_of(flags, rest); \
    va_end(rest); \
    hang_on_path(path); \
    return REAL(name)(path, flags, mode); \
  }

OPEN(open)
OPEN(open64)
