/* A simulated libnvidia-ml.so.1, part three: MIG slices, and the performance monitor that tells how busy each is. */
#include "nvml.h"

#include <stdlib.h>
#include <string.h>

static int exists(const struct mig *m)
{
    int64_t now = rig_now();
    return m->from_ns <= now && (!m->to_ns || now < m->to_ns);
}

struct mig *mig_of(void *handle)
{
    for (int i = 0; i < rig.n_gpus; i++)
        for (int k = 0; k < rig.gpus[i].n_migs; k++)
            if (handle == &rig.gpus[i].migs[k])
                return exists(handle) ? &rig.gpus[i].migs[k] : NULL;
    return NULL;
}

API nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending)
{
    struct gpu *g;
    int code = gate(handle, &g);
    if (code)
        return code;
    return g->arch < 7 ? NOT_SUPPORTED : (*current = *pending = g->mig_mode, OK);
}

API nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *out)
{
    struct gpu *g;
    int code = gate(handle, &g);
    return code ? code : (*out = g->mig_mode ? 7 : 0, OK);
}

API nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **out)
{
    struct gpu *g;
    int code = gate(handle, &g);
    if (code)
        return code;
    for (struct mig *m = g->migs; m < g->migs + g->n_migs; m++)
        if (exists(m) && !index--)
            return *out = m, OK;
    return NOT_FOUND;
}

API nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *handle, void **out)
{
    return mig_of(handle) ? (*out = mig_of(handle)->parent, OK) : INVALID_ARGUMENT;
}

API nvmlDeviceIsMigDeviceHandle(void *handle, unsigned *out) { return *out = mig_of(handle) != NULL, OK; }

API nvmlDeviceGetGpuInstanceId(void *handle, unsigned *out)
{
    return mig_of(handle) ? (*out = mig_of(handle)->gi, OK) : NOT_SUPPORTED;
}

API nvmlDeviceGetComputeInstanceId(void *handle, unsigned *out)
{
    return mig_of(handle) ? (*out = mig_of(handle)->ci, OK) : NOT_SUPPORTED;
}

struct attributes {
    unsigned sm, copy, decoder, encoder, jpeg, ofa, gpu_slices, compute_slices;
    unsigned long long mem_mb;
};

API nvmlDeviceGetAttributes_v2(void *handle, struct attributes *out)
{
    struct mig *m = mig_of(handle);
    if (!m)
        return NOT_SUPPORTED;
    memset(out, 0, sizeof *out);
    out->sm = m->sm_count, out->mem_mb = m->mem_mb;
    out->gpu_slices = m->gpu_slices, out->compute_slices = m->compute_slices;
    return OK;
}

/* GPM: a sample notes the time and the busy time so far of one GPU instance; two of them tell the mean between. */

struct gpm_sample { int64_t at_ns; double busy_ns; };
struct gpm_metric { unsigned id; int code; double value; struct { char *short_name, *long_name, *unit; } info; };
struct gpm_question { unsigned version, n; struct gpm_sample *first, *second; struct gpm_metric metrics[]; };
struct gpm_support { unsigned version, supported; };

enum { GRAPHICS_UTIL = 1 };

API nvmlGpmQueryDeviceSupport(void *handle, struct gpm_support *out)
{
    struct gpu *g;
    int code = gate(handle, &g);
    if (code || out->version != 1)
        return code ? code : VERSION_MISMATCH;
    return out->supported = g->gpm_code != NOT_SUPPORTED, OK;
}

API nvmlGpmSampleAlloc(struct gpm_sample **out)
{
    return (*out = calloc(1, sizeof **out)) ? OK : UNKNOWN;
}

API nvmlGpmSampleFree(struct gpm_sample *sample)
{
    free(sample);
    return OK;
}

/* What ran since the last sample of any instance is taken to be what runs now: the control file has no times. */
static double busy_ns(struct gpu *g, unsigned gi, int64_t now)
{
    static struct { double sum_ns; int64_t at_ns; } totals[MAX_GPUS][MAX_MIGS * 2];
    struct proc found[MAX_PROCS];
    int sm = 0, n = rig_procs(g, found);
    for (int i = 0; i < n; i++)
        sm += found[i].gi == gi ? (int)found[i].sm : 0;
    gi %= MAX_MIGS * 2;
    totals[g->index][gi].sum_ns += (double)(now - totals[g->index][gi].at_ns) * (sm > 100 ? 100 : sm) / 100;
    totals[g->index][gi].at_ns = now;
    return totals[g->index][gi].sum_ns;
}

API nvmlGpmMigSampleGet(void *handle, unsigned gi, struct gpm_sample *out)
{
    struct gpu *g;
    int code = reading(handle, &g), found = 0;
    if (code || g->gpm_code)
        return code ? code : g->gpm_code;
    for (struct mig *m = g->migs; m < g->migs + g->n_migs; m++)
        found |= m->gi == gi && exists(m);
    if (!found || !out)
        return INVALID_ARGUMENT;
    out->at_ns = rig_now();
    return out->busy_ns = busy_ns(g, gi, out->at_ns), OK;
}

API nvmlGpmMetricsGet(struct gpm_question *q)
{
    if (q->version != 1)
        return VERSION_MISMATCH;
    if (!q->first || !q->second || q->second->at_ns <= q->first->at_ns)
        return INVALID_ARGUMENT;
    for (unsigned i = 0; i < q->n; i++) {
        struct gpm_metric *m = &q->metrics[i];
        m->code = m->id == GRAPHICS_UTIL ? OK : NOT_SUPPORTED;
        m->value = 100 * (q->second->busy_ns - q->first->busy_ns) / (double)(q->second->at_ns - q->first->at_ns);
    }
    return OK;
}
