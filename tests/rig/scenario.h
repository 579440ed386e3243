/* The scenario: what the simulated machine truly draws, and how each of its sensors is allowed to lie.
 *
 * Both simulated libraries (nvml*.c, shim_*.c) read one text file, named by $WATTLEDGER_RIG and written by rig.py.
 * A line is `key value...`; `gpu N` and `zone NAME` open a section.  Times are nanoseconds after `epoch_ns`
 * (CLOCK_BOOTTIME), powers microwatts, so that energy is an exact integer: 1 uW * 1 ns = 1 fJ, kept in 128 bits.
 */
#ifndef RIG_SCENARIO_H
#define RIG_SCENARIO_H

#include <stdint.h>
#include <sys/types.h>

#define MAX_GPUS 64
#define MAX_ZONES 64
#define MAX_FAULTS 16
#define MAX_PROCS 64
#define MAX_MIGS 8
#define FJ_PER_UJ 1000000000LL
#define FJ_PER_MJ 1000000000000LL

typedef __int128 fj_t;

struct load { int n, repeat; int64_t *dur_ns, *power_uw, period_ns, min_uw, max_uw; fj_t period_fj; };

enum fault_kind { LOST, HANG, ERROR, RESET, STUCK_POWER, STUCK_ENERGY, ABSURD_POWER, ABSURD_ENERGY, EIO_READ,
                  EACCES_OPEN, VANISH, PERF_EACCES, NO_FAULT };

/* Active from `at_ns` for `for_ns` (0: for ever) and, where `n` is not 0, for `n` affected calls of this process. */
struct fault { enum fault_kind kind; int64_t at_ns, for_ns, value; int n, used; };

/* pid 0: the calling process.  One that has ended is in no list, but its samples are still in the driver's buffer; a client of
 * the Multi-Process Service is in a list of its own. */
enum proc_kind { RUNS, ENDED, CLIENT };
struct proc { unsigned pid, sm, mem_util, gi, ci; unsigned long long mem; enum proc_kind kind; };

struct gpu;
struct mig {
    struct gpu *parent;
    unsigned gi, ci, gpu_slices, compute_slices, sm_count;
    int64_t from_ns, to_ns;                           /* it exists so long (to 0: for ever) */
    unsigned long long mem_mb;
    char uuid[96];
};

struct gpu {
    unsigned index, arch, limit_mw, default_limit_mw, max_limit_mw, mig_mode, mig_util, clock_mhz;
    int gpm_code, lost;                               /* what GPM answers with (0: it works); lost: until NVML starts anew */
    int64_t plugged_ns;                               /* not there before, and not for an NVML that started before */
    char uuid[96], name[96], serial[32], part[32];
    struct load board, module, memory;                /* module and memory: n == 0 means not supported */
    int has_counter;
    int64_t refresh_ns, phase_ns;
    int64_t usage_window_ns, average_window_ns, instant_window_ns;   /* -1: not supported */
    int64_t start_mj, latency_ns, mem_total, mem_used;
    int temp_c, util_pct;                             /* -1: follows the power */
    int n_faults, n_procs, n_migs;
    struct fault faults[MAX_FAULTS];
    struct proc procs[MAX_PROCS];
    struct mig migs[MAX_MIGS];
};

struct zone {
    char name[128], path[512];                        /* path: its directory, absolute */
    struct load load;
    int64_t range_uj, start_uj, refresh_ns, phase_ns, latency_ns;
    int perf_event, perf_cpu, n_faults;               /* perf_event 0: not a perf counter */
    struct fault faults[MAX_FAULTS];
    dev_t dev;
    ino_t ino;
};

struct rig {
    char tree[512], control[512], driver[64];
    int64_t epoch_ns, started_ns;                     /* started: when this library last was, after the epoch */
    int pmu_type, n_gpus, n_zones;
    struct gpu gpus[MAX_GPUS];
    struct zone zones[MAX_ZONES];
};

#pragma GCC visibility push(hidden)
extern struct rig rig;

int rig_load(const char *path);                       /* 0, or -1 where it cannot be opened; a wrong line aborts */
int64_t rig_now(void);                                /* ns since the epoch of the scenario */
void rig_sleep(int64_t ns);
int64_t rig_update(int64_t refresh_ns, int64_t phase_ns, int64_t t);   /* the last refresh at or before t */
fj_t load_fj(const struct load *l, int64_t t);        /* true energy from the epoch to t */
int64_t load_uw(const struct load *l, int64_t t);
struct fault *fault_at(struct fault *f, int n, enum fault_kind kind, int64_t t);   /* active now? counts one use */
int rig_procs(struct gpu *g, struct proc *out);       /* the scenario's processes and the control file's */
#pragma GCC visibility pop
#endif
