/* The CPU time of processes and of cores over the measured phase, and nothing beside it. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS_MAX = 8, PIDS_MAX = 64, CORES_MAX = 1024 };

static struct group {
    const char *name;
    pid_t pids[PIDS_MAX];
    int count;
    double spent_us;
} groups[GROUPS_MAX];
static int group_count;
static bool is_watched[CORES_MAX];
static double cores_us;

void watch_add(char *option)
{
    char *pids = strchr(option, '='), *rest;
    if (!pids || group_count == GROUPS_MAX) die("--watch NAME=PID[,PID...], at most %d times", GROUPS_MAX);
    *pids++ = 0;
    struct group *group = &groups[group_count++];
    group->name = option;
    for (char *pid = strtok_r(pids, ",", &rest); pid; pid = strtok_r(NULL, ",", &rest)) {
        if (group->count == PIDS_MAX) die("--watch: more than %d processes in a group", PIDS_MAX);
        group->pids[group->count++] = (pid_t)atoi(pid);
    }
}

static double spent_us(const struct group *group)
{
    double sum = 0;
    clockid_t clock;
    struct timespec time;
    for (int i = 0; i < group->count; i++) {
        /* A process that has ended makes the figure meaningless, so it must not go unnoticed. */
        if (clock_getcpuclockid(group->pids[i], &clock) || clock_gettime(clock, &time))
            die("process %d of %s is gone", (int)group->pids[i], group->name);
        sum += (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
    }
    return sum;
}

void watch_cores(char *option)
{
    char *rest;
    for (char *core = strtok_r(option, ",", &rest); core; core = strtok_r(NULL, ",", &rest)) {
        int number = atoi(core);
        if (number < 0 || number >= CORES_MAX) die("--cores N[,N...] below %d", CORES_MAX);
        is_watched[number] = true;
    }
}

/* All CPU time of the watched cores that was not idle. */
static double busy_us(void)
{
    double user, nice, system, idle, waiting, hard, soft, sum = 0;
    char line[256];
    int core;
    FILE *stat = fopen("/proc/stat", "r");
    if (!stat) return 0;
    while (fgets(line, sizeof line, stat))
        if (sscanf(line, "cpu%d %lf %lf %lf %lf %lf %lf %lf", &core, &user, &nice, &system, &idle, &waiting, &hard,
                   &soft) == 8 && core < CORES_MAX && is_watched[core])
            sum += user + nice + system + hard + soft;
    fclose(stat);
    return sum * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

void watch_begin(void)
{
    cores_us = -busy_us();
    for (int i = 0; i < group_count; i++) groups[i].spent_us = -spent_us(&groups[i]);
}

void watch_end(void)
{
    for (int i = 0; i < group_count; i++) groups[i].spent_us += spent_us(&groups[i]);
    cores_us += busy_us();
}

void watch_print(uint64_t requests)
{
    printf(", \"cores_us\": %.0f, \"cpu\": {", cores_us);
    for (int i = 0; i < group_count; i++)
        printf("%s\"%s\": {\"us\": %.1f, \"us_per_request\": %.4f}", i ? ", " : "", groups[i].name, groups[i].spent_us,
               requests ? groups[i].spent_us / (double)requests : 0);
    printf("}");
}
