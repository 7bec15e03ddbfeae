// SPDX-License-Identifier: Apache-2.0
//
// Loading an object: what the verifier says, and for how long it may think.
//
// The verifier's trace of a refusal, with each instruction and its state, is what leads to a line of
// the policy; but writing it takes several times as long as verifying. So programs are loaded without,
// and only the one that was refused once more with it, unless that would take too long.

#define _GNU_SOURCE
#include "loader.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define LOG_TRACE 1		// levels of the verifier's log: each instruction with its state, …
#define LOG_REASON 4		// … or what is wrong, and how much was looked at
#define TRACED_INSNS 100000	// more than that takes a minute in an emulated machine

static volatile sig_atomic_t out_of_time;

static void on_alarm(int number)
{
	out_of_time = number;
}

struct bpf_object *open_object(void)
{
	struct bpf_object *object = bpf_object__open_file(options.object, NULL);
	struct bpf_program *program;
	int i = 0;

	if (!object)
		return NULL;
	bpf_object__for_each_program(program, object) {
		if (i == MAX_PROGRAMS)
			break;
		if (!run.programs[i].log)
			run.programs[i].log = calloc(1, LOG_SIZE);
		run.programs[i].log[0] = 0;
		if (!run.programs[i].name) // the object is closed before the report is written
			run.programs[i].name = strdup(bpf_program__name(program));
		bpf_program__set_log_buf(program, run.programs[i].log, LOG_SIZE);
		bpf_program__set_log_level(program, i == run.traced ? LOG_TRACE : LOG_REASON);
		i++;
	}
	run.nr_programs = i;
	return object;
}

// The program that the verifier refused, -1 if it wasn't the verifier to refuse. libbpf names it. Logs of
// programs that passed are dropped.
static int refused_program(void)
{
	int found = -1;

	for (int i = 0; i < run.nr_programs; i++) {
		struct program *p = &run.programs[i];
		char said[256];

		snprintf(said, sizeof(said), "prog '%s': BPF program load failed", p->name);
		if (run.libbpf.length && strstr(run.libbpf.data, said) &&
		    (out_of_time || strstr(p->log, "processed ")))
			found = i;
		else
			p->log[0] = 0;
	}
	return found;
}

// How many instructions were looked at, by the log's last line about it.
static long processed(const char *log)
{
	static const char word[] = "processed ";
	const char *last = NULL;

	for (const char *at = strstr(log, word); at; at = strstr(at + 1, word))
		last = at;
	return last ? atol(last + strlen(word)) : 0;
}

// libbpf's load, ended when the time for it is over: the verifier gives up when a signal is pending.
// libbpf then tries some times more, so signals keep coming.
static int timed_load(struct bpf_object *object)
{
	long long us = (long long)(options.budget * 1e6);
	struct itimerval timer = { { 0, 20000 }, { us / 1000000, us % 1000000 } }, none = { 0 };
	int error;

	out_of_time = 0;
	signal(SIGALRM, on_alarm);
	if (us > 0)
		setitimer(ITIMER_REAL, &timer, NULL);
	error = bpf_object__load(object);
	setitimer(ITIMER_REAL, &none, NULL);
	return error;
}

static enum outcome refused(int program, int error)
{
	char *log = run.programs[program].log;

	if (!out_of_time)
		return fail(REFUSED, error, "the verifier refused a program");
	// The log is of libbpf's last try, which had no time at all. How much was looked at isn't known.
	snprintf(log, LOG_SIZE, "verification not finished after %g s\nprocessed 0 insns\n",
		 options.budget);
	return fail(REFUSED, error, "the verifier did not finish within %g s", options.budget);
}

enum outcome load(struct bpf_object *object)
{
	long long start = now_ns();
	int error, program;

	run.stage = "load";
	if (!flags_mask(object, &run.problem) ||
	    !settings_apply(object, options.settings, &run.problem, &run.unresolved))
		return fail(USAGE, EINVAL, "settings");
	snprintf(run.ops, sizeof(run.ops), "%s", ops_name(object));
	error = timed_load(object);
	run.load_ns = now_ns() - start;
	program = error ? refused_program() : -1;
	if (program >= 0 && program != run.traced && !out_of_time &&
	    processed(run.programs[program].log) <= TRACED_INSNS) {
		run.traced = program;
		return AGAIN;
	}
	if (program >= 0)
		return refused(program, error);
	if (error)
		return fail(NOT_LOADED, error, "not loaded: %s", strerror(-error));
	run.loads = true;
	programs_read(object, run.programs, run.nr_programs);
	return FINE;
}
