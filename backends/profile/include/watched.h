/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whom to watch. With WITHOUT_CGROUPS no record of a control group is used: bcc's headers that
 * have them take it as long to read as all the rest.
 */
#ifndef PROFILE_WATCHED_H
#define PROFILE_WATCHED_H

#include "kernel.h"

#define MAX_LEVELS 32	/* of control groups */

enum { TARGET_ALL, TARGET_PROCESS, TARGET_CGROUP, TARGET_TREE };

const volatile u32 target;
const volatile s32 target_tgid;
const volatile u64 target_cgroup;
const volatile s32 own_tgid;		/* the collector's, which isn't profiled */

#ifndef WITHOUT_CGROUPS
static __always_inline bool in_cgroup(struct task_struct *p)
{
	struct cgroup *cgrp = p->cgroups->dfl_cgrp;

	for (u32 level = 0; level < MAX_LEVELS; level++) {
		struct cgroup *above = NULL;
		struct kernfs_node *kn = NULL;
		u64 id = 0;

		if (cgrp->level < 0 || (u32)cgrp->level < level)
			return false;
		bpf_probe_read_kernel(&above, sizeof(above), &cgrp->ancestors[level]);
		if (above)
			bpf_probe_read_kernel(&kn, sizeof(kn), &above->kn);
		if (kn)
			bpf_probe_read_kernel(&id, sizeof(id), &kn->id);
		if (id == target_cgroup)
			return true;
	}
	return false;
}
#endif

/* Of a tree, the children are entered when they are born. */
static __always_inline bool wanted(struct task_struct *p, s32 pid)
{
	if (!pid || p->tgid == own_tgid)
		return false;
	switch (target) {
	case TARGET_PROCESS:
	case TARGET_TREE:
		return p->tgid == target_tgid;
#ifndef WITHOUT_CGROUPS
	case TARGET_CGROUP:
		return in_cgroup(p);
#endif
	}
	return true;
}

#endif
