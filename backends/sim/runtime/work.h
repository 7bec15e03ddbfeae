/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver that runs a plan (backends/phases/plan.h): what tasks do, and the measures that the
 * plan's metrics come from, by the rules of backends/phases/measure.h.
 */
#ifndef SIM_WORK_H
#define SIM_WORK_H

#include <stddef.h>

#include "sim.h"

/* Take a plan's text, before the driver starts: 0, or -1 with one line in `error`. */
int work_load(const char *text, size_t length, char *error, size_t size);

/*
 * Control groups of the plan: ids from 1, the root "/", each path's parents before it. A path's id,
 * 0 if no task is in it or below it; an id's path, NULL after the last one; what it is a child of (0: none);
 * its weight (100 if the plan says nothing).
 */
u64 work_cgroup(const char *path);
const char *work_cgroup_path(u64 id);
u64 work_cgroup_parent(u64 id);
u32 work_cgroup_weight(u64 id);

#endif
