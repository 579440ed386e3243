/* What nvml.c and nvml_identity.c share: NVML's own constants and layouts, as the public nvml.h numbers them. */
#ifndef RIG_NVML_H
#define RIG_NVML_H
#include "scenario.h"

enum { OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
       INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15, VERSION_MISMATCH = 25, UNKNOWN = 999 };
#define NOT_AVAILABLE 0xFFFFFFFFu

#define API __attribute__((visibility("default"))) int

#pragma GCC visibility push(hidden)
struct gpu *gpu_of(void *handle);             /* of a board's handle or a MIG slice's; NULL: neither */
struct mig *mig_of(void *handle);
int gate(void *handle, struct gpu **g);       /* the way in of every call: is there a board, and does it answer? */
int reading(void *handle, struct gpu **g);    /* the same for a sensor: latency, hangs and errors happen here */
int procs_of(void *handle, struct gpu *g, struct proc *found);   /* a board's handle sees all, a MIG slice's only its own */
int put_text(char *out, unsigned size, const char *text);
#pragma GCC visibility pop
#endif
