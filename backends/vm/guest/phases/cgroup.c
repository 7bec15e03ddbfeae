// SPDX-License-Identifier: Apache-2.0
/* Control groups (version 2) with a cpu weight. Only the guest's root may make them. */
#include "board.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define ROOT "/sys/fs/cgroup"

static void write_to(const char *path, const char *file, const char *text)
{
	char name[512];

	snprintf(name, sizeof name, ROOT "%s/%s", path, file);
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		wl_die(name);
	close(fd);
}

static void mount_once(void)
{
	if (access(ROOT "/cgroup.controllers", F_OK) == 0)
		return;
	mkdir(ROOT, 0755);
	if (mount("cgroup2", ROOT, "cgroup2", 0, NULL))
		wl_die("control groups can't be mounted");
}

void make_cgroup(const char *path, uint32_t weight)
{
	char prefix[256], name[512], text[16];

	mount_once();
	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != 0)
			continue;
		/* The parent lends its cpu controller, then the group is made below it. */
		size_t parent = i;

		while (parent && path[--parent] != '/')
			;
		snprintf(prefix, sizeof prefix, "%.*s", (int)parent, path);
		write_to(prefix, "cgroup.subtree_control", "+cpu");
		snprintf(name, sizeof name, ROOT "%.*s", (int)i, path);
		if (mkdir(name, 0755) && errno != EEXIST)
			wl_die(name);
	}
	snprintf(text, sizeof text, "%u", weight);
	write_to(path, "cpu.weight", text);
}

void join_cgroup(const char *path)
{
	write_to(path, "cgroup.procs", "0");
}
