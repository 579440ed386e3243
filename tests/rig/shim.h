/* What the two halves of the preload share: shim_paths.c (which file is meant) and shim_zones.c (what it says). */
#ifndef RIG_SHIM_H
#define RIG_SHIM_H
#include "scenario.h"

#include <dlfcn.h>
#include <limits.h>

/* The function behind ours, looked up once: `REAL(open64)(path, flags)`. */
#define REAL(name) ({ \
    static __typeof__(&name) real_; \
    real_ ? real_ : (real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name)); })
#define OURS __attribute__((visibility("default")))

#pragma GCC visibility push(hidden)
extern int shim_ready;                                /* the scenario is loaded; until then all passes through */
const char *redirect(const char *path, char *room);   /* the path, or (in `room`, PATH_MAX) its place in the tree */
int vanished(const char *redirected);                 /* it belonged to a zone that is gone by now */
struct zone *zone_of_path(const char *redirected);    /* the zone whose energy_uj this is; NULL: none */
struct zone *zone_of_file(dev_t dev, ino_t ino);
int admit(struct zone *z, int fd);                    /* may this just opened energy_uj be had? fd, or -1 with errno */
#pragma GCC visibility pop
#endif
