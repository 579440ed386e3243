/* The preload, part one: every path below the kernel's powercap and power-PMU directories leads into the rig's tree.
 *
 * Only what programs written on libc can call is covered; a raw system call goes past it. */
#define _GNU_SOURCE
#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *PREFIXES[] = {"/sys/class/powercap", "/sys/devices/virtual/powercap",
                                 "/sys/bus/event_source/devices/power"};
int shim_ready;
static int may_vanish;

__attribute__((constructor)) static void begin(void)
{
    char file[PATH_MAX];
    struct stat st;
    if (rig_load(getenv("WATTLEDGER_RIG")))
        return;
    for (struct zone *z = rig.zones; z < rig.zones + rig.n_zones; z++) {
        snprintf(file, sizeof file, "%s/energy_uj", z->path);
        if (!REAL(stat)(file, &st))
            z->dev = st.st_dev, z->ino = st.st_ino;
        for (int i = 0; i < z->n_faults; i++)
            may_vanish |= z->faults[i].kind == VANISH;
    }
    shim_ready = 1;
}

const char *redirect(const char *path, char *room)
{
    for (size_t i = 0; shim_ready && path && i < sizeof PREFIXES / sizeof *PREFIXES; i++) {
        size_t n = strlen(PREFIXES[i]);
        if (strncmp(path, PREFIXES[i], n) || (path[n] && path[n] != '/'))
            continue;
        snprintf(room, PATH_MAX, "%s%s", rig.tree, path + strlen("/sys"));
        return room;
    }
    return path;
}

int vanished(const char *path)
{
    char real[PATH_MAX];
    if (!may_vanish || !shim_ready || !path || !REAL(realpath)(path, real))
        return 0;
    for (struct zone *z = rig.zones; z < rig.zones + rig.n_zones; z++) {
        size_t n = strlen(z->path);
        if (!strncmp(real, z->path, n) && (!real[n] || real[n] == '/')
            && fault_at(z->faults, z->n_faults, VANISH, rig_now()))
            return 1;
    }
    return 0;
}

struct zone *zone_of_file(dev_t dev, ino_t ino)
{
    for (struct zone *z = rig.zones; z < rig.zones + rig.n_zones; z++)
        if (z->ino == ino && z->dev == dev)
            return z;
    return NULL;
}

struct zone *zone_of_path(const char *path)
{
    struct stat st;
    size_t n = path ? strlen(path) : 0, tail = strlen("energy_uj");
    if (!shim_ready || n < tail || strcmp(path + n - tail, "energy_uj") || REAL(stat)(path, &st))
        return NULL;
    return zone_of_file(st.st_dev, st.st_ino);
}

/* Lead `path` into the tree; where it is gone, the caller returns `miss` with ENOENT. */
#define INTO_TREE(path, miss) \
    char room_[PATH_MAX]; \
    path = redirect(path, room_); \
    if (vanished(path)) return errno = ENOENT, miss

OURS int stat(const char *restrict path, struct stat *restrict st)
{
    INTO_TREE(path, -1);
    return REAL(stat)(path, st);
}

OURS int stat64(const char *restrict path, struct stat64 *restrict st)
{
    INTO_TREE(path, -1);
    return REAL(stat64)(path, st);
}

OURS int lstat(const char *restrict path, struct stat *restrict st)
{
    INTO_TREE(path, -1);
    return REAL(lstat)(path, st);
}

OURS int lstat64(const char *restrict path, struct stat64 *restrict st)
{
    INTO_TREE(path, -1);
    return REAL(lstat64)(path, st);
}

OURS int fstatat(int dir, const char *restrict path, struct stat *restrict st, int flags)
{
    INTO_TREE(path, -1);
    return REAL(fstatat)(dir, path, st, flags);
}

OURS int fstatat64(int dir, const char *restrict path, struct stat64 *restrict st, int flags)
{
    INTO_TREE(path, -1);
    return REAL(fstatat64)(dir, path, st, flags);
}

OURS int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
    INTO_TREE(path, -1);
    return REAL(statx)(dir, path, flags, mask, st);
}

/* The names that programs linked against glibc before 2.33 call. */
int __xstat(int version, const char *path, struct stat *st);
int __lxstat(int version, const char *path, struct stat *st);
int __xstat64(int version, const char *path, struct stat64 *st);
int __lxstat64(int version, const char *path, struct stat64 *st);
OURS int __xstat(int version, const char *path, struct stat *st) { return (void)version, stat(path, st); }
OURS int __lxstat(int version, const char *path, struct stat *st) { return (void)version, lstat(path, st); }
OURS int __xstat64(int version, const char *path, struct stat64 *st) { return (void)version, stat64(path, st); }
OURS int __lxstat64(int version, const char *path, struct stat64 *st) { return (void)version, lstat64(path, st); }

static int may_read(const char *path, int mode)
{
    struct zone *z = mode & R_OK ? zone_of_path(path) : NULL;
    return !z || !fault_at(z->faults, z->n_faults, EACCES_OPEN, rig_now());
}

OURS int access(const char *path, int mode)
{
    INTO_TREE(path, -1);
    return may_read(path, mode) ? REAL(access)(path, mode) : (errno = EACCES, -1);
}

OURS int faccessat(int dir, const char *path, int mode, int flags)
{
    INTO_TREE(path, -1);
    return may_read(path, mode) ? REAL(faccessat)(dir, path, mode, flags) : (errno = EACCES, -1);
}

OURS DIR *opendir(const char *path)
{
    INTO_TREE(path, NULL);
    return REAL(opendir)(path);
}

OURS ssize_t readlink(const char *restrict path, char *restrict out, size_t size)
{
    INTO_TREE(path, -1);
    return REAL(readlink)(path, out, size);
}

OURS ssize_t readlinkat(int dir, const char *restrict path, char *restrict out, size_t size)
{
    INTO_TREE(path, -1);
    return REAL(readlinkat)(dir, path, out, size);
}

/* Who asked below /sys is answered below /sys. */
OURS char *realpath(const char *restrict path, char *restrict out)
{
    const char *asked = path;
    INTO_TREE(path, NULL);
    char *found = REAL(realpath)(path, out);
    size_t n = strlen(rig.tree);
    if (found && path != asked && !strncmp(found, rig.tree, n)) {
        memmove(found + strlen("/sys"), found + n, strlen(found + n) + 1);
        memcpy(found, "/sys", strlen("/sys"));
    }
    return found;
}

/* The variadic mode is passed on whether or not it was given: without O_CREAT nobody looks at it. */
#define OPEN_BODY(call) \
    INTO_TREE(path, -1); \
    struct zone *z = zone_of_path(path); \
    int fd = call; \
    return z && fd >= 0 ? admit(z, fd) : fd

#define MODE_ARGUMENT \
    unsigned mode; \
    va_list list; \
    va_start(list, flags), mode = va_arg(list, unsigned), va_end(list);

OURS int open(const char *path, int flags, ...) { MODE_ARGUMENT OPEN_BODY(REAL(open)(path, flags, mode)); }
OURS int open64(const char *path, int flags, ...) { MODE_ARGUMENT OPEN_BODY(REAL(open64)(path, flags, mode)); }
OURS int __open_2(const char *path, int flags) { return open(path, flags, 0); }
OURS int __open64_2(const char *path, int flags) { return open64(path, flags, 0); }

/* A name relative to a directory in the tree: the descriptor itself says which file it became. */
static int admit_opened(const char *path, int fd)
{
    struct stat st;
    size_t n = strlen(path), tail = strlen("energy_uj");
    if (!shim_ready || fd < 0 || n < tail || strcmp(path + n - tail, "energy_uj") || fstat(fd, &st))
        return fd;
    struct zone *z = zone_of_file(st.st_dev, st.st_ino);
    return z ? admit(z, fd) : fd;
}

OURS int openat(int dir, const char *path, int flags, ...)
{
    MODE_ARGUMENT
    INTO_TREE(path, -1);
    return admit_opened(path, REAL(openat)(dir, path, flags, mode));
}

OURS int openat64(int dir, const char *path, int flags, ...)
{
    MODE_ARGUMENT
    INTO_TREE(path, -1);
    return admit_opened(path, REAL(openat64)(dir, path, flags, mode));
}
