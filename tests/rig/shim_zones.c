/* The preload, part two: what an energy register says at the moment it is read, through a descriptor, a FILE or perf.
 *
 * An open descriptor is known by the inode behind it, checked at each read, so a number that the kernel gave to another
 * file since is never taken for a register. */
#define _GNU_SOURCE
#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FDS 65536

/* `text` is what the read at offset 0 saw: like sysfs, a later read of the same pass continues it. */
struct opened { int zone, perf, format; char text[24]; fj_t base_fj; int64_t since_ns; };
static struct opened opened[MAX_FDS];

static struct opened *opened_as(int fd)
{
    struct stat st;
    struct opened *o = fd >= 0 && fd < MAX_FDS ? &opened[fd] : NULL;
    if (!o || !o->zone)
        return NULL;
    int error = errno;
    struct zone *z = &rig.zones[o->zone - 1];
    int same = !fstat(fd, &st) && st.st_ino == z->ino && st.st_dev == z->dev;
    errno = error;
    return same ? o : (o->zone = 0, NULL);
}

/* Energy at the register's last refresh, since the epoch. */
static fj_t total_fj(struct zone *z, int64_t now, int64_t *at)
{
    *at = rig_update(z->refresh_ns, z->phase_ns, now);
    struct fault *f = fault_at(z->faults, z->n_faults, STUCK_ENERGY, now);
    if (f)
        *at = rig_update(z->refresh_ns, z->phase_ns, f->at_ns);
    return *at > 0 ? load_fj(&z->load, *at) : 0;
}

static int64_t register_uj(struct zone *z, int64_t now)
{
    int64_t at, start = z->start_uj;
    fj_t total = total_fj(z, now, &at);
    struct fault *f = fault_at(z->faults, z->n_faults, ABSURD_ENERGY, now);
    if (f)
        return f->value;
    if ((f = fault_at(z->faults, z->n_faults, RESET, at)))
        total -= load_fj(&z->load, f->at_ns), start = f->value;
    return (int64_t)((start + total / FJ_PER_UJ) % z->range_uj);
}

/* The price and the failures of a read: 0, or the errno it ends with. */
static int attempt(struct zone *z)
{
    rig_sleep(z->latency_ns);
    int64_t now = rig_now();
    struct fault *f = fault_at(z->faults, z->n_faults, HANG, now);
    if (f)
        rig_sleep(f->for_ns ? f->at_ns + f->for_ns - now : INT64_MAX), now = rig_now();
    if (fault_at(z->faults, z->n_faults, VANISH, now))
        return ENODEV;
    return fault_at(z->faults, z->n_faults, EIO_READ, now) ? EIO : 0;
}

int admit(struct zone *z, int fd)
{
    if (fault_at(z->faults, z->n_faults, EACCES_OPEN, rig_now()) || fd >= MAX_FDS)
        return close(fd), errno = EACCES, -1;
    opened[fd] = (struct opened){.zone = (int)(z - rig.zones) + 1};
    return fd;
}

static ssize_t read_text(struct opened *o, void *out, size_t size, off_t offset)
{
    struct zone *z = &rig.zones[o->zone - 1];
    char text[sizeof o->text];                        /* its own copy: threads may share the descriptor */
    memcpy(text, o->text, sizeof text);
    if (offset == 0) {
        int code = attempt(z);
        if (code)
            return errno = code, -1;
        snprintf(text, sizeof text, "%lld\n", (long long)register_uj(z, rig_now()));
        memcpy(o->text, text, sizeof text);
    }
    off_t len = (off_t)strlen(text);
    if (offset >= len)
        return 0;
    size = size < (size_t)(len - offset) ? size : (size_t)(len - offset);
    memcpy(out, text + offset, size);
    return (ssize_t)size;
}

/* perf counts 2^-32 J from the moment of opening; it does not see wraps or resets of the register. */
static ssize_t read_perf(struct opened *o, void *out, size_t size)
{
    struct zone *z = &rig.zones[o->zone - 1];
    uint64_t words[3];
    int64_t now = rig_now(), at;
    size_t n = 1;
    int code = attempt(z);
    if (code)
        return errno = code, -1;
    fj_t whole = ((fj_t)1) << 32, fj_per_j = (fj_t)1000 * FJ_PER_MJ;
    words[0] = (uint64_t)(total_fj(z, now, &at) * whole / fj_per_j - o->base_fj * whole / fj_per_j);
    if (o->format & PERF_FORMAT_TOTAL_TIME_ENABLED)
        words[n++] = (uint64_t)(now - o->since_ns);
    if (o->format & PERF_FORMAT_TOTAL_TIME_RUNNING)
        words[n++] = (uint64_t)(now - o->since_ns);
    if (size < n * sizeof *words)
        return errno = ENOSPC, -1;
    memcpy(out, words, n * sizeof *words);
    return (ssize_t)(n * sizeof *words);
}

OURS ssize_t read(int fd, void *out, size_t size)
{
    struct opened *o = opened_as(fd);
    if (!o)
        return REAL(read)(fd, out, size);
    if (o->perf)
        return read_perf(o, out, size);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t got = read_text(o, out, size, offset);
    if (got > 0)
        lseek(fd, offset + got, SEEK_SET);
    return got;
}

OURS ssize_t pread(int fd, void *out, size_t size, off_t offset)
{
    struct opened *o = opened_as(fd);
    if (!o)
        return REAL(pread)(fd, out, size, offset);
    return o->perf ? read_perf(o, out, size) : read_text(o, out, size, offset);
}

ssize_t __read_chk(int fd, void *out, size_t size, size_t room);
ssize_t __pread_chk(int fd, void *out, size_t size, off_t offset, size_t room);
OURS ssize_t pread64(int fd, void *out, size_t size, off64_t offset) { return pread(fd, out, size, offset); }
OURS ssize_t __read_chk(int fd, void *out, size_t size, size_t room) { return (void)room, read(fd, out, size); }
OURS ssize_t __pread_chk(int fd, void *out, size_t size, off_t offset, size_t room)
{
    return (void)room, pread(fd, out, size, offset);
}

/* The vectored forms fill the first buffer: a register is twenty digits at most. */
OURS ssize_t readv(int fd, const struct iovec *to, int n)
{
    return opened_as(fd) && n > 0 ? read(fd, to->iov_base, to->iov_len) : REAL(readv)(fd, to, n);
}

OURS ssize_t preadv(int fd, const struct iovec *to, int n, off_t offset)
{
    return opened_as(fd) && n > 0 ? pread(fd, to->iov_base, to->iov_len, offset) : REAL(preadv)(fd, to, n, offset);
}

OURS ssize_t preadv2(int fd, const struct iovec *to, int n, off_t offset, int flags)
{
    return opened_as(fd) && n > 0 ? preadv(fd, to, n, offset) : REAL(preadv2)(fd, to, n, offset, flags);
}

OURS ssize_t preadv64(int fd, const struct iovec *to, int n, off64_t offset) { return preadv(fd, to, n, offset); }
OURS ssize_t preadv64v2(int fd, const struct iovec *to, int n, off64_t offset, int flags)
{
    return preadv2(fd, to, n, offset, flags);
}

/* A FILE reads below our read(), so a register's FILE is one whose reads are ours. */
static ssize_t file_read(void *cookie, char *out, size_t size) { return read((int)(intptr_t)cookie, out, size); }
static int file_close(void *cookie) { return close((int)(intptr_t)cookie); }

static int file_seek(void *cookie, off64_t *offset, int whence)
{
    off64_t at = lseek64((int)(intptr_t)cookie, *offset, whence);
    return at < 0 ? -1 : (*offset = at, 0);
}

static FILE *open_file(const char *path, const char *mode)
{
    if (zone_of_path(path) && *mode == 'r') {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        cookie_io_functions_t calls = {file_read, NULL, file_seek, file_close};
        return fd < 0 ? NULL : fopencookie((void *)(intptr_t)fd, mode, calls);
    }
    return REAL(fopen)(path, mode);
}

OURS FILE *fopen(const char *restrict path, const char *restrict mode)
{
    char room[PATH_MAX];
    path = redirect(path, room);
    return vanished(path) ? (errno = ENOENT, NULL) : open_file(path, mode);
}

OURS FILE *fopen64(const char *restrict path, const char *restrict mode) { return fopen(path, mode); }

static int perf_open(const struct perf_event_attr *attr, int pid, int cpu, unsigned long flags)
{
    char file[PATH_MAX];
    for (struct zone *z = rig.zones; z < rig.zones + rig.n_zones; z++) {
        if (!z->perf_event || (uint64_t)z->perf_event != attr->config || z->perf_cpu != cpu || pid != -1)
            continue;
        int64_t now = rig_now(), at;
        if (fault_at(z->faults, z->n_faults, PERF_EACCES, now))
            return errno = EACCES, -1;
        snprintf(file, sizeof file, "%s/energy_uj", z->path);
        int fd = REAL(open)(file, O_RDONLY | (flags & PERF_FLAG_FD_CLOEXEC ? O_CLOEXEC : 0));
        if (fd >= 0 && fd < MAX_FDS)
            opened[fd] = (struct opened){.zone = (int)(z - rig.zones) + 1, .perf = 1, .format = (int)attr->read_format,
                                         .base_fj = total_fj(z, now, &at), .since_ns = now};
        return fd;
    }
    return errno = EINVAL, -1;
}

OURS long syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    const struct perf_event_attr *attr = (const void *)a[0];
    if (shim_ready && number == SYS_perf_event_open && attr && attr->type == (unsigned)rig.pmu_type)
        return perf_open(attr, (int)a[1], (int)a[2], (unsigned long)a[4]);
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

OURS int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    struct opened *o = opened_as(fd);
    int64_t at;
    if (!o || !o->perf)
        return REAL(ioctl)(fd, request, argument);
    if (request == PERF_EVENT_IOC_RESET)
        o->base_fj = total_fj(&rig.zones[o->zone - 1], rig_now(), &at);
    return 0;
}
