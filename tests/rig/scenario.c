/* Reads the scenario and does its physics: loads, refreshes, faults.  Linked into both simulated libraries. */
#define _GNU_SOURCE
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct rig rig;

static const char *FAULT_NAMES[] = {"lost", "hang", "error", "reset", "stuck_power", "stuck_energy", "absurd_power",
                                    "absurd_energy", "eio", "eacces", "vanish", "perf_eacces"};

/* A test that runs on a misread scenario proves nothing, so a wrong line ends the process. */
static void die(const char *what, const char *line)
{
    fprintf(stderr, "rig: %s in the scenario: %s\n", what, line);
    abort();
}

static int64_t number(char **rest)
{
    char *word = strsep(rest, " "), *end;
    if (!word || !*word)
        die("a number is missing", *rest ? *rest : "(end of line)");
    int64_t value = strtoll(word, &end, 10);
    if (*end)
        die("not a number", word);
    return value;
}

/* `repeat|once DURATION_NS POWER_UW ...` */
static void parse_load(struct load *l, char *rest)
{
    size_t most = strlen(rest) / 2 + 1;
    l->repeat = !strcmp(strsep(&rest, " "), "repeat");
    l->dur_ns = calloc(most, sizeof *l->dur_ns);
    l->power_uw = calloc(most, sizeof *l->power_uw);
    l->n = 0, l->period_ns = 0, l->period_fj = 0;
    while (rest && *rest) {
        int64_t dur = number(&rest), power = number(&rest);
        l->dur_ns[l->n] = dur, l->power_uw[l->n] = power;
        l->period_ns += dur, l->period_fj += (fj_t)dur * power;
        l->min_uw = !l->n || power < l->min_uw ? power : l->min_uw;
        l->max_uw = !l->n || power > l->max_uw ? power : l->max_uw;
        l->n++;
    }
    if (!l->n || (l->repeat && l->period_ns <= 0))
        die("a load without steps", "load");
}

/* `KIND AT_NS FOR_NS N VALUE` */
static void parse_fault(struct fault *faults, int *n, char *rest)
{
    if (*n == MAX_FAULTS)
        die("too many faults", rest);
    struct fault *f = &faults[(*n)++];
    char *kind = strsep(&rest, " ");
    for (f->kind = 0; f->kind < NO_FAULT && strcmp(kind, FAULT_NAMES[f->kind]); f->kind++)
        ;
    if (f->kind == NO_FAULT)
        die("unknown fault", kind);
    f->at_ns = number(&rest), f->for_ns = number(&rest), f->n = (int)number(&rest), f->value = number(&rest);
    f->used = 0;
}

/* `PID|self SM MEM_UTIL MEM_BYTES GI CI [KIND]` */
static void parse_proc(struct proc *p, char *rest)
{
    if (!strncmp(rest, "self ", 5))
        p->pid = 0, rest += 5;
    else
        p->pid = (unsigned)number(&rest);
    p->sm = (unsigned)number(&rest), p->mem_util = (unsigned)number(&rest);
    p->mem = (unsigned long long)number(&rest);
    p->gi = (unsigned)number(&rest), p->ci = (unsigned)number(&rest);
    p->kind = rest && *rest ? (enum proc_kind)number(&rest) : RUNS;
}

/* `GI CI GPU_SLICES COMPUTE_SLICES SM_COUNT MEM_MB FROM_NS TO_NS UUID` */
static void parse_mig(struct gpu *g, char *rest)
{
    if (g->n_migs == MAX_MIGS)
        die("too many MIG instances", rest);
    struct mig *m = &g->migs[g->n_migs++];
    m->parent = g;
    m->gi = (unsigned)number(&rest), m->ci = (unsigned)number(&rest);
    m->gpu_slices = (unsigned)number(&rest), m->compute_slices = (unsigned)number(&rest);
    m->sm_count = (unsigned)number(&rest), m->mem_mb = (unsigned long long)number(&rest);
    m->from_ns = number(&rest), m->to_ns = number(&rest);
    snprintf(m->uuid, sizeof m->uuid, "%s", rest);
}

#define TEXT(field) if (!strcmp(key, #field)) { snprintf(s->field, sizeof s->field, "%s", rest); return; }
#define NUMBER(field) if (!strcmp(key, #field)) { s->field = number(&rest); return; }

static void gpu_line(struct gpu *s, const char *key, char *rest)
{
    TEXT(uuid) TEXT(name) TEXT(serial) TEXT(part)
    NUMBER(arch) NUMBER(limit_mw) NUMBER(default_limit_mw) NUMBER(max_limit_mw) NUMBER(mig_mode) NUMBER(clock_mhz)
    NUMBER(has_counter) NUMBER(refresh_ns) NUMBER(phase_ns) NUMBER(usage_window_ns) NUMBER(average_window_ns)
    NUMBER(instant_window_ns) NUMBER(start_mj) NUMBER(latency_ns) NUMBER(mem_total) NUMBER(mem_used)
    NUMBER(temp_c) NUMBER(util_pct) NUMBER(mig_util) NUMBER(gpm_code) NUMBER(plugged_ns)
    if (!strcmp(key, "board"))
        parse_load(&s->board, rest);
    else if (!strcmp(key, "module"))
        parse_load(&s->module, rest);
    else if (!strcmp(key, "memory"))
        parse_load(&s->memory, rest);
    else if (!strcmp(key, "fault"))
        parse_fault(s->faults, &s->n_faults, rest);
    else if (!strcmp(key, "mig"))
        parse_mig(s, rest);
    else if (!strcmp(key, "proc") && s->n_procs < MAX_PROCS)
        parse_proc(&s->procs[s->n_procs++], rest);
    else
        die("unknown key of a gpu", key);
}

static void zone_line(struct zone *s, const char *key, char *rest)
{
    TEXT(path)
    NUMBER(range_uj) NUMBER(start_uj) NUMBER(refresh_ns) NUMBER(phase_ns) NUMBER(latency_ns)
    NUMBER(perf_event) NUMBER(perf_cpu)
    if (!strcmp(key, "load"))
        parse_load(&s->load, rest);
    else if (!strcmp(key, "fault"))
        parse_fault(s->faults, &s->n_faults, rest);
    else
        die("unknown key of a zone", key);
}

static void rig_line(struct rig *s, const char *key, char *rest)
{
    TEXT(tree) TEXT(control) TEXT(driver)
    NUMBER(epoch_ns) NUMBER(pmu_type)
    die("unknown key", key);
}

int rig_load(const char *path)
{
    FILE *file = path ? fopen(path, "r") : NULL;
    struct gpu *g = NULL;
    struct zone *z = NULL;
    char *line = NULL;
    size_t size = 0;
    ssize_t got;
    if (!file)
        return -1;
    memset(&rig, 0, sizeof rig);
    while ((got = getline(&line, &size, file)) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *rest = line, *key = strsep(&rest, " ");
        if (!*key || *key == '#')
            continue;
        if (!rest)
            die("a key without a value", key);
        if (!strcmp(key, "gpu") && rig.n_gpus < MAX_GPUS) {
            z = NULL, g = &rig.gpus[rig.n_gpus];
            g->index = (unsigned)rig.n_gpus++;
        } else if (!strcmp(key, "zone") && rig.n_zones < MAX_ZONES) {
            g = NULL, z = &rig.zones[rig.n_zones++];
            snprintf(z->name, sizeof z->name, "%s", rest);
        } else if (g)
            gpu_line(g, key, rest);
        else if (z)
            zone_line(z, key, rest);
        else
            rig_line(&rig, key, rest);
    }
    free(line);
    fclose(file);
    rig.started_ns = rig_now();
    return 0;
}

int64_t rig_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec - rig.epoch_ns;
}

void rig_sleep(int64_t ns)
{
    struct timespec ts = {ns / 1000000000, ns % 1000000000};
    if (ns > 0)
        while (nanosleep(&ts, &ts) && errno == EINTR)
            ;
}

int64_t rig_update(int64_t refresh_ns, int64_t phase_ns, int64_t t)
{
    if (refresh_ns <= 0)
        return t;
    int64_t since = t - phase_ns, past = since % refresh_ns;
    return t - (past < 0 ? past + refresh_ns : past);
}

/* The step that holds at `t`, and (through `before`) the energy up to where it begins at `begin`. */
static int step_at(const struct load *l, int64_t t, fj_t *before, int64_t *begin)
{
    int64_t cycles = l->repeat && t > 0 ? t / l->period_ns : 0;
    *before = cycles * l->period_fj, *begin = cycles * l->period_ns;
    int i = 0;
    for (; i < l->n - 1 && t >= *begin + l->dur_ns[i]; i++)
        *before += (fj_t)l->dur_ns[i] * l->power_uw[i], *begin += l->dur_ns[i];
    return i;
}

/* Before the epoch the first power has held for ever: an averaging window may reach back there, a counter may not. */
fj_t load_fj(const struct load *l, int64_t t)
{
    fj_t before;
    int64_t begin;
    int i = step_at(l, t, &before, &begin);
    return before + (fj_t)(t - begin) * l->power_uw[i];
}

int64_t load_uw(const struct load *l, int64_t t)
{
    fj_t before;
    int64_t begin;
    return l->power_uw[step_at(l, t, &before, &begin)];
}

struct fault *fault_at(struct fault *faults, int n, enum fault_kind kind, int64_t t)
{
    struct fault *found = NULL;
    for (struct fault *f = faults; f < faults + n; f++) {
        if (f->kind != kind || t < f->at_ns || (f->for_ns && t >= f->at_ns + f->for_ns))
            continue;
        if (f->n && __atomic_fetch_add(&f->used, 1, __ATOMIC_RELAXED) >= f->n)
            continue;
        found = !found || f->at_ns >= found->at_ns ? f : found;
    }
    return found;
}

/* The control file (lines of `GPU PID|self SM MEM_UTIL MEM_BYTES GI CI [KIND]`) is read each time: processes come and go. */
int rig_procs(struct gpu *g, struct proc *out)
{
    int n = g->n_procs;
    char line[256];
    memcpy(out, g->procs, sizeof *out * (size_t)n);
    FILE *file = *rig.control ? fopen(rig.control, "r") : NULL;
    while (file && n < MAX_PROCS && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *rest = line;
        if (*line && (unsigned)number(&rest) == g->index)
            parse_proc(&out[n++], rest);
    }
    if (file)
        fclose(file);
    for (int i = 0; i < n; i++)
        out[i].pid = out[i].pid ? out[i].pid : (unsigned)getpid();
    return n;
}
