/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks as they are made: what policies can read of them, their control groups, their memory. */
#include <stdlib.h>
#include <string.h>
#include "core.h"

#define TASKS_A_BLOCK 256u

static struct task root_task = { .k = { .comm = "swapper", .cpus_ptr = &root_task.k.cpus_mask } };

/* sched_prio_to_weight: about 1.25 between neighbours, 1024 at nice 0. */
static const u32 weights[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
	1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
	110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
};

u32 nice_to_weight(s32 nice)
{
	return weights[nice + 20];
}

/* --- control groups --------------------------------------------------------------------------- */

#define MAX_LEVEL (sizeof(((struct cgroup *)0)->ancestors) / sizeof(struct cgroup *) - 1)

struct group {
	struct cgroup cgroup;
	struct kernfs_node node;
	struct css_set set;
	struct group *next;
};

static struct group *groups;

static struct group *find_group(u64 id, u32 weight);

static void set_parent(struct cgroup *cgroup, const struct cgroup *parent)
{
	cgroup->level = parent->level + 1;
	if (cgroup->level > (int)MAX_LEVEL)
		fail("control groups are more than %d deep", (int)MAX_LEVEL);
	for (int level = 0; level <= parent->level; level++)
		cgroup->ancestors[level] = parent->ancestors[level];
}

static struct group *make_group(u64 id, u32 weight)
{
	const struct driver *driver = sim.driver;
	struct group *group = allocate(sizeof(*group));
	u64 parent = 1;

	if (driver && driver->cgroup_parent) {
		parent = driver->cgroup_parent(id);
		weight = driver->cgroup_weight(id);
	}
	group->node.id = id;
	group->cgroup.kn = &group->node;
	group->cgroup.weight = weight ? weight : 100;
	if (id != 1)
		set_parent(&group->cgroup, &find_group(parent, 0)->cgroup);
	group->cgroup.ancestors[group->cgroup.level] = &group->cgroup;
	group->set.dfl_cgrp = &group->cgroup;
	group->next = groups;
	groups = group;
	return group;
}

static struct group *find_group(u64 id, u32 weight)
{
	id = id ? id : 1;
	for (struct group *group = groups; group; group = group->next)
		if (group->node.id == id)
			return group;
	return make_group(id, weight);
}

struct cgroup *find_cgroup(u64 id, u32 weight)
{
	return &find_group(id, weight)->cgroup;
}

void set_cgroup(struct task *p, u64 id, u32 weight)
{
	p->k.cgroups = &find_group(id, weight)->set;
}

/* --- users: one record each ------------------------------------------------------------------- */

static const struct cred *find_cred(u32 uid)
{
	static struct user {
		struct cred cred;
		struct user *next;
	} *users;

	for (struct user *user = users; user; user = user->next)
		if (user->cred.uid.val == uid)
			return &user->cred;
	struct user *user = allocate(sizeof(*user));

	user->cred.uid.val = user->cred.euid.val = uid;
	user->next = users;
	users = user;
	return &user->cred;
}

/* --- tasks ------------------------------------------------------------------------------------ */

static struct mm_struct *user_mm(void)
{
	static struct super_block super;
	static struct inode inode = { .i_ino = 1, .i_sb = &super };
	static struct file file = { .f_inode = &inode };
	static struct mm_struct mm = { .exe_file = &file };

	return &mm;
}

static struct task *new_slot(void)
{
	static struct task *block;
	u32 place = sim.nr_tasks % TASKS_A_BLOCK;

	if (!place)
		block = allocate(TASKS_A_BLOCK * sizeof(*block));
	if (!(sim.nr_tasks & (sim.nr_tasks - 1))) {
		size_t capacity = sim.nr_tasks ? 2 * (size_t)sim.nr_tasks : 1;

		sim.tasks = realloc(sim.tasks, capacity * sizeof(*sim.tasks));
		if (!sim.tasks)
			fail("out of memory");
	}
	sim.tasks[sim.nr_tasks++] = &block[place];
	return &block[place];
}

static void set_identity(struct task *p, const struct task_params *params)
{
	struct task_struct *k = &p->k;
	struct task *leader = p;

	k->pid = (int)sim.nr_tasks;
	k->tgid = params->tgid ? (int)params->tgid : k->pid;
	if (params->tgid && params->tgid < sim.nr_tasks)
		leader = sim.tasks[params->tgid - 1];
	k->group_leader = &leader->k;
	k->real_parent = k->parent = params->parent ? &params->parent->k : &root_task.k;
	memcpy(k->comm, params->comm, sizeof(k->comm) - 1);
	k->cred = k->real_cred = find_cred(params->uid);
	if (params->kthread)
		k->flags |= PF_KTHREAD;
	else
		k->mm = user_mm();
}

static void set_affinity(struct task *p, const struct cpumask *allowed)
{
	p->k.cpus_mask = sim.all_cpus;
	if (allowed)
		for (u32 word = 0; word < sim.mask_words; word++)
			p->k.cpus_mask.bits[word] &= allowed->bits[word];
	p->k.cpus_ptr = &p->k.cpus_mask;
	p->k.nr_cpus_allowed = (int)mask_weight(&p->k.cpus_mask);
	if (!p->k.nr_cpus_allowed)
		fail("%s[%d] is allowed no cpu of this machine", p->k.comm, p->k.pid);
}

struct task *new_task(const struct task_params *params)
{
	struct task *p = new_slot();

	set_identity(p, params);
	set_affinity(p, params->allowed);
	set_cgroup(p, params->cgroup, params->cgroup_weight);
	p->k.static_prio = p->k.prio = p->k.normal_prio = 120 + params->nice;
	p->k.start_time = p->born_at = sim.now;
	p->state = TASK_NEW;
	p->cpu = params->parent ? params->parent->cpu : params->cpu;
	p->ran_on = NO_CPU;
	p->group = params->group;
	p->driver = params->driver;
	p->class = sim.class;
	sim.nr_alive++;
	if (params->parent) {
		charge_overhead(params->parent, sim.machine.costs.fork);
		p->overhead_left = sim.machine.costs.exit;
	}
	trace(TRACE_TASK, NO_CPU, (u64)p->k.pid, p->group, 0, p->k.comm);
	p->class->init_task(p);
	return p;
}

void tasks_free(void)
{
	for (u32 i = 0; i < sim.nr_tasks; i += TASKS_A_BLOCK)
		free(sim.tasks[i]);
	free(sim.tasks);
}
