/* A simulated libnvidia-ml.so.1, part two: which boards there are, and who runs on them. */
#include "nvml.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct gpu *gpu_of(void *handle)
{
    for (int i = 0; i < rig.n_gpus; i++)
        if (handle == &rig.gpus[i])
            return &rig.gpus[i];
    struct mig *m = mig_of(handle);
    return m ? m->parent : NULL;
}

/* The boards that this library saw when it started: what is plugged in later waits for the next start. */
static struct gpu *board(unsigned index)
{
    for (int i = 0; i < rig.n_gpus; i++)
        if (rig.gpus[i].plugged_ns <= rig.started_ns && !index--)
            return &rig.gpus[i];
    return NULL;
}

API nvmlDeviceGetCount_v2(unsigned *out)
{
    for (*out = 0; board(*out); ++*out)
        ;
    return OK;
}

API nvmlDeviceGetCount(unsigned *out) { return nvmlDeviceGetCount_v2(out); }

API nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out)
{
    struct gpu *g = board(index);
    return g ? (*out = g, gate(*out, &g)) : INVALID_ARGUMENT;
}

API nvmlDeviceGetHandleByIndex(unsigned index, void **out) { return nvmlDeviceGetHandleByIndex_v2(index, out); }

API nvmlDeviceGetHandleByUUID(const char *uuid, void **out)
{
    struct gpu *g;
    for (int i = 0; i < rig.n_gpus; i++) {
        if (rig.gpus[i].plugged_ns > rig.started_ns)
            continue;
        if (!strcmp(uuid, rig.gpus[i].uuid))
            return *out = &rig.gpus[i], gate(*out, &g);
        for (int k = 0; k < rig.gpus[i].n_migs; k++)
            if (mig_of(&rig.gpus[i].migs[k]) && !strcmp(uuid, rig.gpus[i].migs[k].uuid))
                return *out = &rig.gpus[i].migs[k], gate(*out, &g);
    }
    return NOT_FOUND;
}

API nvmlDeviceGetUUID(void *handle, char *out, unsigned size)
{
    struct gpu *g;
    int code = gate(handle, &g);
    return code ? code : put_text(out, size, mig_of(handle) ? mig_of(handle)->uuid : g->uuid);
}

API nvmlDeviceGetName(void *handle, char *out, unsigned size)
{
    struct gpu *g;
    int code = gate(handle, &g);
    char text[160];
    if (code)
        return code;
    if (mig_of(handle))
        snprintf(text, sizeof text, "%s MIG %ug.%llugb", g->name, mig_of(handle)->gpu_slices,
                 mig_of(handle)->mem_mb / 1000);
    else
        snprintf(text, sizeof text, "%s", g->name);
    return put_text(out, size, text);
}

API nvmlDeviceGetSerial(void *handle, char *out, unsigned size)
{
    struct gpu *g;
    int code = gate(handle, &g);
    return code ? code : *g->serial ? put_text(out, size, g->serial) : NOT_SUPPORTED;
}

API nvmlDeviceGetBoardPartNumber(void *handle, char *out, unsigned size)
{
    struct gpu *g;
    int code = gate(handle, &g);
    return code ? code : *g->part ? put_text(out, size, g->part) : NOT_SUPPORTED;
}

static int fact(void *handle, unsigned *out, unsigned (*of)(struct gpu *))
{
    struct gpu *g;
    int code = gate(handle, &g);
    return code ? code : (*out = of(g), OK);
}

static unsigned index_of(struct gpu *g) { return g->index; }
static unsigned arch_of(struct gpu *g) { return g->arch; }
static unsigned brand_of(struct gpu *g) { (void)g; return 14; }
static unsigned none_of(struct gpu *g) { (void)g; return 0; }

API nvmlDeviceGetIndex(void *handle, unsigned *out)
{
    return mig_of(handle) ? NOT_SUPPORTED : fact(handle, out, index_of);
}

API nvmlDeviceGetMinorNumber(void *handle, unsigned *out) { return nvmlDeviceGetIndex(handle, out); }
API nvmlDeviceGetArchitecture(void *handle, unsigned *out) { return fact(handle, out, arch_of); }
API nvmlDeviceGetBrand(void *handle, unsigned *out) { return fact(handle, out, brand_of); }
API nvmlDeviceGetComputeMode(void *handle, unsigned *out) { return fact(handle, out, none_of); }
API nvmlDeviceGetPerformanceState(void *handle, unsigned *out) { return fact(handle, out, none_of); }

struct pci { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; };

API nvmlDeviceGetPciInfo_v3(void *handle, struct pci *out)
{
    struct gpu *g;
    int code = gate(handle, &g);
    if (code)
        return code;
    memset(out, 0, sizeof *out);
    out->bus = 0x10 + g->index;
    out->id = 0x233010DE;
    snprintf(out->legacy, sizeof out->legacy, "0000:%02X:00.0", out->bus);
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", out->bus);
    return OK;
}

API nvmlDeviceGetMemoryInfo(void *handle, unsigned long long out[3])
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code)
        return code;
    struct mig *m = mig_of(handle);
    out[0] = m ? m->mem_mb << 20 : (unsigned long long)g->mem_total;
    out[2] = m ? 0 : (unsigned long long)g->mem_used;
    return out[1] = out[0] - out[2], OK;
}

struct memory_v2 { unsigned version; unsigned long long total, reserved, free, used; };

API nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *out)
{
    unsigned long long v1[3];
    if (out->version != 0x02000028)
        return VERSION_MISMATCH;
    int code = nvmlDeviceGetMemoryInfo(handle, v1);
    return code ? code : (out->total = v1[0], out->reserved = 0, out->free = v1[1], out->used = v1[2], OK);
}

struct process { unsigned pid; unsigned long long mem; unsigned gi, ci; };

int procs_of(void *handle, struct gpu *g, struct proc *found)
{
    struct mig *m = mig_of(handle);
    int n = 0, all = rig_procs(g, found);
    for (int i = 0; i < all; i++)
        if (!m || (found[i].gi == m->gi && found[i].ci == m->ci))
            found[n++] = found[i];
    return n;
}

static int listed(void *handle, unsigned *count, struct process *out, enum proc_kind kind)
{
    struct gpu *g;
    struct proc found[MAX_PROCS];
    int code = reading(handle, &g);
    if (code)
        return code;
    unsigned n = 0, room = *count;
    for (int i = 0, all = procs_of(handle, g, found); i < all; i++)
        if (found[i].kind == kind)
            found[n++] = found[i];
    *count = n;
    if (room < n)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < n; i++)
        out[i] = (struct process){found[i].pid, found[i].mem, g->mig_mode ? found[i].gi : NOT_AVAILABLE,
                                  g->mig_mode ? found[i].ci : NOT_AVAILABLE};
    return OK;
}

API nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *out)
{
    return listed(handle, count, out, RUNS);
}

API nvmlDeviceGetMPSComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *out)
{
    return listed(handle, count, out, CLIENT);
}

API nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, struct process *out)
{
    return nvmlDeviceGetComputeRunningProcesses_v3(handle, count, out);
}

API nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, struct process *out)
{
    struct gpu *g;
    (void)out;
    return *count = 0, reading(handle, &g);
}

API nvmlDeviceGetGraphicsRunningProcesses_v2(void *handle, unsigned *count, struct process *out)
{
    return nvmlDeviceGetGraphicsRunningProcesses_v3(handle, count, out);
}

struct sample { unsigned pid; unsigned long long at_us; unsigned sm, mem, enc, dec; };

/* The driver stamps its samples with the wall clock, in microseconds; here one per process and refresh. */
static unsigned long long sample_us(const struct gpu *g)
{
    static int64_t wall_minus_boot_us;
    struct timespec wall;
    int64_t now = rig_now();
    if (!wall_minus_boot_us) {
        clock_gettime(CLOCK_REALTIME, &wall);
        wall_minus_boot_us = wall.tv_sec * 1000000LL + wall.tv_nsec / 1000 - now / 1000;
    }
    return (unsigned long long)(wall_minus_boot_us + rig_update(g->refresh_ns, g->phase_ns, now) / 1000);
}

API nvmlDeviceGetProcessUtilization(void *handle, struct sample *out, unsigned *count, unsigned long long last_seen_us)
{
    struct gpu *g;
    struct proc found[MAX_PROCS];
    int code = reading(handle, &g);
    if (code)
        return code;
    if (g->mig_mode && !g->mig_util)
        return NOT_SUPPORTED;
    unsigned n = (unsigned)procs_of(handle, g, found), room = *count;
    unsigned long long at_us = sample_us(g);
    if (!n || at_us <= last_seen_us)
        return *count = 0, NOT_FOUND;
    *count = n;
    if (!out || room < n)
        return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < n; i++)
        out[i] = (struct sample){found[i].pid, at_us, found[i].sm, found[i].mem_util, 0, 0};
    return OK;
}
