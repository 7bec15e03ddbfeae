// SPDX-License-Identifier: Apache-2.0
/* The control groups that a plan's paths make, numbered from 1 with parents before children. */
#include <stdlib.h>
#include <string.h>

#include "work.h"
#include "work_state.h"

struct node {
	char path[256];
	u64 parent;
	u32 weight;
};

static struct node *nodes;
static u64 nr_nodes;

static u64 add_node(const char *path, size_t length, u64 parent)
{
	for (u64 id = 1; id <= nr_nodes; id++)
		if (strlen(nodes[id - 1].path) == length &&
		    !memcmp(nodes[id - 1].path, path, length))
			return id;
	struct node *grown = realloc(nodes, (nr_nodes + 1) * sizeof *nodes);

	if (!grown) {
		fputs("schedc-sim: no memory\n", stderr);
		exit(2);
	}
	nodes = grown;
	nodes[nr_nodes] = (struct node){ .parent = parent, .weight = 100 };
	memcpy(nodes[nr_nodes].path, path, length);
	return ++nr_nodes;
}

/* Once, when the first question is asked: the plan is known by then. */
static void build(void)
{
	if (nr_nodes)
		return;
	add_node("/", 1, 0);
	for (u32 g = 0; g < work.plan.nr_groups; g++) {
		const char *path = work.plan.groups[g].cgroup;
		u64 id = 1;

		for (size_t i = 1; path[0] && i <= strlen(path); i++)
			if ((path[i] == '/' || path[i] == 0) && i > 1)
				id = add_node(path, i, id);
		if (id > 1)
			nodes[id - 1].weight = work.plan.groups[g].cgroup_weight;
	}
}

u64 work_cgroup(const char *path)
{
	build();
	for (u64 id = 1; id <= nr_nodes; id++)
		if (!strcmp(nodes[id - 1].path, path))
			return id;
	return 0;
}

const char *work_cgroup_path(u64 id)
{
	build();
	return id >= 1 && id <= nr_nodes ? nodes[id - 1].path : NULL;
}

u64 work_cgroup_parent(u64 id)
{
	return work_cgroup_path(id) ? nodes[id - 1].parent : 0;
}

u32 work_cgroup_weight(u64 id)
{
	return work_cgroup_path(id) ? nodes[id - 1].weight : 100;
}
