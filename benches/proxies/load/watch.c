/* The CPU time of processes and of the machine over the measured phase, and nothing beside it. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { GROUPS_MAX = 8, PIDS_MAX = 64 };

static struct group {
    const char *name;
    pid_t pids[PIDS_MAX];
    int count;
    double spent_us;
} groups[GROUPS_MAX];
static int group_count;
static double machine_us;

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

/* All CPU time that was not idle, of all cores. */
static double busy_us(void)
{
    double user, nice, system, idle, waiting, hard, soft;
    FILE *stat = fopen("/proc/stat", "r");
    if (!stat) return 0;
    int found = fscanf(stat, "cpu %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &waiting, &hard, &soft);
    fclose(stat);
    return found == 7 ? (user + nice + system + hard + soft) * 1e6 / (double)sysconf(_SC_CLK_TCK) : 0;
}

void watch_begin(void)
{
    machine_us = -busy_us();
    for (int i = 0; i < group_count; i++) groups[i].spent_us = -spent_us(&groups[i]);
}

void watch_end(void)
{
    for (int i = 0; i < group_count; i++) groups[i].spent_us += spent_us(&groups[i]);
    machine_us += busy_us();
}

void watch_print(uint64_t requests)
{
    printf(", \"machine_us\": %.0f, \"cpu\": {", machine_us);
    for (int i = 0; i < group_count; i++)
        printf("%s\"%s\": {\"us\": %.1f, \"us_per_request\": %.4f}", i ? ", " : "", groups[i].name, groups[i].spent_us,
               requests ? groups[i].spent_us / (double)requests : 0);
    printf("}");
}
