// SPDX-License-Identifier: Apache-2.0
//
// A restored machine starts without any translated code, and what an emulator runs for the first time
// takes it several times as long as what it runs again: that is most of a check's time. So while the
// policy is still being compiled, a loader that waits loads an object of our own and lets go of it
// again. It is never attached, and nothing of it is left when the loader's arguments are there.

#define _GNU_SOURCE
#include "loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_S 20

static bool rehearsing;

// The arguments are there, or whoever was to send them is gone.
static bool wanted(void)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };

	return poll(&input, 1, 0) > 0;
}

// libbpf calls this one instead of its own (see btf_index.c), once for each program.
int bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license,
		  const struct bpf_insn *insns, size_t count, struct bpf_prog_load_opts *opts)
{
	static int (*next)(enum bpf_prog_type, const char *, const char *, const struct bpf_insn *,
			   size_t, struct bpf_prog_load_opts *);

	if (!next)
		next = dlsym(RTLD_NEXT, "bpf_prog_load");
	if (rehearsing && wanted()) {
		errno = ECANCELED;
		return -ECANCELED;
	}
	return next(type, name, license, insns, count, opts);
}

// Back to where nothing was run yet; only memory for logs is kept.
static void forget(void)
{
	struct run none = { .traced = -1 };

	for (int i = 0; i < MAX_PROGRAMS; i++)
		none.programs[i].log = run.programs[i].log;
	run = none;
	options = (struct options){ 0 };
}

bool rehearse(const char *path, bool may_end)
{
	struct bpf_object *object;
	struct text report = { 0 };
	bool well;

	options.object = path;
	options.budget = BUDGET_S;
	run.traced = -1;
	rehearsing = may_end;
	object = open_object();
	well = object && load(object) == FINE;
	if (well) {
		collect(object);
		make_report(&report);
		free(report.data);
	}
	bpf_object__close(object);
	rehearsing = false;
	forget();
	return well;
}
