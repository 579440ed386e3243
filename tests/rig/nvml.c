/* A simulated libnvidia-ml.so.1, part one: starting up, and the sensors.  The rest is in nvml_identity.c.
 *
 * Handles point into the scenario.  A counter moves only at phase + k * refresh, as on the real boards, and a power
 * is an average over the window that ends at the last refresh. */
#include "nvml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int users;
static char loaded[512];

/* The scenario is read again when the library starts anew: one process may visit several rigs in turn. */
static int start(void)
{
    const char *path = getenv("WATTLEDGER_RIG");
    if (!users++ || strcmp(loaded, path ? path : "")) {
        snprintf(loaded, sizeof loaded, "%s", path ? path : "");
        if (rig_load(path) || !rig.n_gpus) {
            users = 0;
            return 9;                                  /* DRIVER_NOT_LOADED: a machine without GPUs */
        }
    }
    return OK;
}

API nvmlInit(void) { return start(); }
API nvmlInit_v2(void) { return start(); }
API nvmlInitWithFlags(unsigned flags) { (void)flags; return start(); }
API nvmlShutdown(void) { return users ? (users--, OK) : UNINITIALIZED; }

__attribute__((visibility("default"))) const char *nvmlErrorString(int code)
{
    switch (code) {
    case OK: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case 9: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

int put_text(char *out, unsigned size, const char *text)
{
    if (size <= strlen(text))
        return INSUFFICIENT_SIZE;
    strcpy(out, text);
    return OK;
}

API nvmlSystemGetDriverVersion(char *out, unsigned size) { return put_text(out, size, rig.driver); }
API nvmlSystemGetNVMLVersion(char *out, unsigned size) { return put_text(out, size, "13.580.95.05"); }
API nvmlSystemGetCudaDriverVersion_v2(int *out) { return *out = 13000, OK; }
API nvmlSystemGetCudaDriverVersion(int *out) { return *out = 13000, OK; }

int gate(void *handle, struct gpu **g)
{
    if (!users)
        return UNINITIALIZED;
    if (!(*g = gpu_of(handle)))
        return INVALID_ARGUMENT;
    /* What fell off the bus stays lost to this library, even when the board is back. */
    (*g)->lost |= fault_at((*g)->faults, (*g)->n_faults, LOST, rig_now()) != NULL;
    return (*g)->lost ? GPU_IS_LOST : OK;
}

int reading(void *handle, struct gpu **g)
{
    int code = gate(handle, g);
    if (code)
        return code;
    rig_sleep((*g)->latency_ns);
    int64_t now = rig_now();
    struct fault *f = fault_at((*g)->faults, (*g)->n_faults, HANG, now);
    if (f)
        rig_sleep(f->for_ns ? f->at_ns + f->for_ns - now : INT64_MAX);
    f = fault_at((*g)->faults, (*g)->n_faults, ERROR, rig_now());
    return f ? (int)f->value : OK;
}

/* A register is the floor of a running total, so a sub-mJ remainder is carried, never lost. */
static int64_t energy_mj(struct gpu *g, const struct load *l)
{
    int64_t now = rig_now(), at = rig_update(g->refresh_ns, g->phase_ns, now);
    struct fault *f = fault_at(g->faults, g->n_faults, ABSURD_ENERGY, now);
    if (f)
        return f->value;
    if ((f = fault_at(g->faults, g->n_faults, STUCK_ENERGY, now)))
        at = rig_update(g->refresh_ns, g->phase_ns, f->at_ns);
    fj_t from = 0;
    int64_t start = g->start_mj;
    if ((f = fault_at(g->faults, g->n_faults, RESET, at)))
        from = load_fj(l, f->at_ns), start = f->value;
    fj_t grown = at > 0 ? load_fj(l, at) - from : 0;
    return start + (int64_t)(grown / FJ_PER_MJ);
}

static int64_t power_mw(struct gpu *g, const struct load *l, int64_t window_ns)
{
    int64_t now = rig_now(), at = rig_update(g->refresh_ns, g->phase_ns, now);
    struct fault *f = fault_at(g->faults, g->n_faults, ABSURD_POWER, now);
    if (!f)
        f = fault_at(g->faults, g->n_faults, STUCK_POWER, now);
    if (f)
        return f->value;
    if (!window_ns)
        return load_uw(l, at) / 1000;
    return (int64_t)((load_fj(l, at) - load_fj(l, at - window_ns)) / window_ns / 1000);
}

API nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *out)
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code)
        return code;
    if (!g->has_counter || mig_of(handle))
        return NOT_SUPPORTED;
    return *out = (unsigned long long)energy_mj(g, &g->board), OK;
}

API nvmlDeviceGetPowerUsage(void *handle, unsigned *out)
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code)
        return code;
    if (g->usage_window_ns < 0 || mig_of(handle))
        return NOT_SUPPORTED;
    return *out = (unsigned)power_mw(g, &g->board, g->usage_window_ns), OK;
}

struct field {
    unsigned id, scope;
    int64_t timestamp, latency;
    unsigned type;
    int code;
    union { double d; unsigned u; unsigned long long ull; } value;
};

enum { FI_TOTAL_ENERGY = 83, FI_POWER_AVERAGE = 185, FI_POWER_INSTANT, FI_MIN_LIMIT, FI_MAX_LIMIT, FI_DEFAULT_LIMIT,
       FI_CURRENT_LIMIT, FI_ENERGY, FI_REQUESTED_LIMIT };

static int power_field(struct gpu *g, struct field *f, const struct load *l, int64_t window_ns)
{
    if (window_ns < 0)
        return NOT_SUPPORTED;
    return f->type = 1, f->value.u = (unsigned)power_mw(g, l, window_ns), OK;
}

static int field_value(struct gpu *g, struct field *f)
{
    const struct load *scopes[] = {&g->board, &g->module, &g->memory};
    const struct load *l = f->scope < 3 ? scopes[f->scope] : NULL;
    f->type = 1;
    switch (f->id) {
    case FI_TOTAL_ENERGY:
    case FI_ENERGY:
        if (!l || !l->n || !g->has_counter)
            return NOT_SUPPORTED;
        return f->type = 3, f->value.ull = (unsigned long long)energy_mj(g, l), OK;
    case FI_POWER_AVERAGE: return l && l->n ? power_field(g, f, l, g->average_window_ns) : NOT_SUPPORTED;
    case FI_POWER_INSTANT: return l && l->n ? power_field(g, f, l, g->instant_window_ns) : NOT_SUPPORTED;
    case FI_MIN_LIMIT: return f->value.u = 100000, OK;
    case FI_MAX_LIMIT: return f->value.u = g->max_limit_mw, OK;
    case FI_DEFAULT_LIMIT: return f->value.u = g->default_limit_mw, OK;
    case FI_CURRENT_LIMIT:
    case FI_REQUESTED_LIMIT: return f->value.u = g->limit_mw, OK;
    default: return NOT_SUPPORTED;
    }
}

/* One call, one trip to the driver: the fields share one latency and carry an answer each. */
API nvmlDeviceGetFieldValues(void *handle, int n, struct field *fields)
{
    struct gpu *g;
    struct timespec wall;
    int code = reading(handle, &g);
    if (code)
        return code;
    clock_gettime(CLOCK_REALTIME, &wall);
    for (struct field *f = fields; f < fields + n; f++) {
        f->timestamp = wall.tv_sec * 1000000LL + wall.tv_nsec / 1000;
        f->latency = g->latency_ns / 1000;
        f->code = mig_of(handle) ? NOT_SUPPORTED : field_value(g, f);
    }
    return OK;
}

static int limit(void *handle, unsigned *out, int which)
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code)
        return code;
    *out = which == 0 ? g->limit_mw : which == 1 ? g->default_limit_mw : g->max_limit_mw;
    return *out ? OK : NOT_SUPPORTED;
}

API nvmlDeviceGetEnforcedPowerLimit(void *h, unsigned *out) { return limit(h, out, 0); }
API nvmlDeviceGetPowerManagementLimit(void *h, unsigned *out) { return limit(h, out, 0); }
API nvmlDeviceGetPowerManagementDefaultLimit(void *h, unsigned *out) { return limit(h, out, 1); }
API nvmlDeviceGetPowerManagementLimitConstraints(void *h, unsigned *low, unsigned *high)
{
    *low = 100000;
    return limit(h, high, 2);
}

/* How hard the board works, in percent: what follows the power follows this. */
static int effort(struct gpu *g)
{
    int64_t at = rig_update(g->refresh_ns, g->phase_ns, rig_now()), uw = load_uw(&g->board, at);
    const struct load *l = &g->board;
    int64_t from = l->max_uw > l->min_uw ? l->min_uw : 0;
    int64_t to = l->max_uw > l->min_uw ? l->max_uw : (int64_t)g->limit_mw * 1000;
    return to > from ? (int)((uw - from) * 100 / (to - from)) : 0;
}

API nvmlDeviceGetUtilizationRates(void *handle, unsigned out[2])
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code)
        return code;
    if (g->mig_mode)
        return NOT_SUPPORTED;
    out[0] = (unsigned)(g->util_pct < 0 ? effort(g) : g->util_pct);
    return out[1] = out[0] / 2, OK;
}

API nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *out)
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code || sensor)
        return code ? code : INVALID_ARGUMENT;
    return *out = (unsigned)(g->temp_c < 0 ? 30 + effort(g) / 2 : g->temp_c), OK;
}

struct temperature { unsigned version, sensor; int celsius; };

API nvmlDeviceGetTemperatureV(void *handle, struct temperature *out)
{
    if (out->version != 0x100000C)
        return VERSION_MISMATCH;
    return nvmlDeviceGetTemperature(handle, out->sensor, (unsigned *)&out->celsius);
}

API nvmlDeviceGetClockInfo(void *handle, unsigned kind, unsigned *out)
{
    struct gpu *g;
    int code = reading(handle, &g);
    if (code || kind > 3)
        return code ? code : INVALID_ARGUMENT;
    return *out = g->clock_mhz, OK;
}
