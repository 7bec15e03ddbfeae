// SPDX-License-Identifier: Apache-2.0
//
// schedc-load: loads a scheduler, holds it while a command runs, and reports what the kernel said.
//
//   schedc-load --object FILE [--settings FILE] [--report FILE] [--bpf-stats] [--reattach]
//               [--budget SECONDS] [--exercise] [--hold SECONDS | -- COMMAND ARGUMENT…]
//
// --budget: what the verifier may take; a program that needs longer counts as refused.
// --exercise: some busy and some waking tasks meanwhile. --reattach: where the kernel asks for it (a
// cpu came or went), load again, with the new topology. --await [OBJECT], alone: see await.c.
//
// The process holds the scheduler's link: if it dies, however it dies, the kernel goes back to its
// own scheduler. The report is written on every way out.

#define _GNU_SOURCE
#include "loader.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCX_RESTART (1LL << 48)		// SCX_ECODE_ACT_RESTART
#define KIND_NORMAL_MAX 66		// kinds above are errors
#define POLL_US 100000
#define ATTACH_NS 2000000000LL

struct options options;
struct run run;

static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number)
{
	asked_to_stop = number;
}

static int on_libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[1024];

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	// zig's objects carry sections that libbpf only remarks on.
	if (!strstr(line, ".eh_frame") && run.libbpf.length < 16384)
		text_bytes(&run.libbpf, line, strlen(line));
	return 0;
}

enum outcome fail(enum outcome outcome, int error, const char *format, ...)
{
	va_list args;
	char line[1024];

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (!run.problem.length)
		text_add(&run.problem, "%s", line);
	run.error = error < 0 ? -error : error;
	return outcome;
}

// --- attaching

static bool is_current(void)
{
	char state[32], ops[128];

	read_line("/sys/kernel/sched_ext/state", state, sizeof(state));
	read_line("/sys/kernel/sched_ext/root/ops", ops, sizeof(ops));
	return !strcmp(state, "enabled") && !strcmp(ops, run.ops) &&
	       read_number("/sys/kernel/sched_ext/enable_seq") == run.enable_seq;
}

// Kernels before 7.0-rc3 (and their stable ones of that time) move the caller to sched_ext in the
// midst of enabling. Tasks that still are fair go before it then: where they leave no cpu idle, it
// never ends its work, and the machine hangs. A real-time task stays what it is.
static void run_first(bool first)
{
	struct sched_param param = { .sched_priority = first ? 1 : 0 };

	sched_setscheduler(0, first ? SCHED_FIFO : SCHED_OTHER, &param);
}

static struct bpf_link *attach_first(struct bpf_object *object)
{
	struct bpf_link *link;
	int error;

	run_first(true);
	link = bpf_map__attach_struct_ops(ops_map(object));
	error = errno;
	run_first(false);
	errno = error;
	return link;
}

static enum outcome attach(struct bpf_object *object, struct bpf_link **link)
{
	long long before = read_number("/sys/kernel/sched_ext/enable_seq"), start = now_ns();

	run.stage = "attach";
	*link = attach_first(object);
	if (!*link)
		return fail(NOT_ATTACHED, errno, "not attached: %s", strerror(errno));
	// The kernel may say yes and still give up right after (an error in init_task, say).
	while (!wait_for_state("enabled", 50) && now_ns() - start < ATTACH_NS)
		if (exit_read(object, &run.exit))
			break;
	run.enable_seq = read_number("/sys/kernel/sched_ext/enable_seq");
	run.attach_ns = now_ns() - start;
	// Counted when it was enabled, however soon it was thrown out again: that is for the next stage.
	if (run.enable_seq == before)
		return fail(NOT_ATTACHED, 0, "attached, but not enabled by the kernel");
	run.attaches = true;
	return FINE;
}

// --- while it runs

// The next look at the scheduler; no later than `end`, if there is one.
static void pause_until(long long end)
{
	long long left = end ? (end - now_ns()) / 1000 : POLL_US;

	usleep(left < POLL_US ? (left > 0 ? left : 1) : POLL_US);
}

// True when the command (or the time to hold) is over, false when the scheduler is gone before.
static bool hold(pid_t *child, long long end)
{
	for (;;) {
		if (*child > 0 ? command_ended(*child) : now_ns() >= end) {
			*child = 0;
			return is_current();
		}
		if (!is_current())
			return false;
		if (asked_to_stop)
			return true;
		pause_until(*child > 0 ? 0 : end);
	}
}

void collect(struct bpf_object *object)
{
	run.events.length = run.counters.length = 0;
	events_read(&run.events);
	counters_json(object, &run.counters);
	programs_read(object, run.programs, run.nr_programs);
}

// Why it is gone, once the kernel has finished throwing it out.
static enum outcome departed(struct bpf_object *object)
{
	wait_for_state("disabled", 5000);
	run.has_exit = exit_read(object, &run.exit);
	collect(object);
	if (run.has_exit && run.exit.kind > KIND_NORMAL_MAX)
		return fail(EJECTED, 0, "ejected: %s", run.exit.reason);
	if (run.has_exit)
		return fail(LEFT, 0, "ended: %s", run.exit.reason);
	return fail(EJECTED, 0, "no longer the kernel's scheduler");
}

static bool wants_restart(void)
{
	return options.reattach && run.has_exit && run.exit.kind <= KIND_NORMAL_MAX &&
	       (run.exit.exit_code & SCX_RESTART);
}

static enum outcome detach(struct bpf_object *object, struct bpf_link *link)
{
	long long start = now_ns();

	run.stage = "detach";
	bpf_link__destroy(link);
	run.detached = wait_for_state("disabled", 5000);
	run.detach_ns = now_ns() - start;
	run.has_exit = exit_read(object, &run.exit);
	if (!run.detached)
		return fail(NOT_RESTORED, 0, "the default scheduler is not back");
	if (run.has_exit && run.exit.kind > KIND_NORMAL_MAX) {
		run.stayed = false; // thrown out between our last look and now
		return fail(EJECTED, 0, "ejected: %s", run.exit.reason);
	}
	return FINE;
}

// One life of a scheduler: from opening the object to its end, whoever ended it.
static enum outcome one_life(pid_t *child, long long *end)
{
	struct bpf_object *object = open_object();
	struct bpf_link *link = NULL;
	enum outcome outcome;
	long long start;

	if (!object)
		return fail(BAD_OBJECT, errno, "%s: %s", options.object, strerror(errno));
	outcome = load(object);
	if (outcome == AGAIN) {
		bpf_object__close(object);
		run.libbpf.length = run.unresolved.length = 0;
		return one_life(child, end);
	}
	if (outcome == FINE)
		outcome = attach(object, &link);
	if (outcome != FINE) {
		wait_for_state("disabled", 5000);
		run.has_exit = exit_read(object, &run.exit);
	} else {
		run.stage = "run";
		start = now_ns();
		if (!*end) {
			*end = start + (long long)(options.hold * 1e9);
			*child = options.command ? start_command() : 0;
			if (options.exercise)
				start_exercise();
		}
		run.stayed = hold(child, *end);
		run.attached_ns += now_ns() - start;
		stop_exercise();
		if (run.stayed) {
			collect(object);
			outcome = detach(object, link);
		} else {
			outcome = departed(object);
			bpf_link__destroy(link);
			run.detached = wait_for_state("disabled", 5000);
		}
	}
	bpf_object__close(object);
	return outcome;
}

// --- options

static int usage(void)
{
	fputs("usage: schedc-load --object FILE [--settings FILE] [--report FILE] [--bpf-stats]\n"
	      "                   [--budget SECONDS] [--reattach] [--exercise] [--hold SECONDS | -- COMMAND ARGUMENT...]\n", stderr);
	return USAGE;
}

static bool parse_options(int argc, char **argv, const char **settings)
{
	static const struct option known[] = {
		{ "object", required_argument, NULL, 'o' },
		{ "settings", required_argument, NULL, 's' },
		{ "report", required_argument, NULL, 'r' },
		{ "hold", required_argument, NULL, 'h' },
		{ "budget", required_argument, NULL, 'v' },
		{ "bpf-stats", no_argument, NULL, 'b' },
		{ "reattach", no_argument, NULL, 'a' },
		{ "exercise", no_argument, NULL, 'e' },
		{ 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (c) {
		case 'o': options.object = optarg; break;
		case 's': *settings = optarg; break;
		case 'r': options.report = optarg; break;
		case 'b': options.bpf_stats = true; break;
		case 'a': options.reattach = true; break;
		case 'e': options.exercise = true; break;
		case 'h':
			options.hold = strtod(optarg, &end);
			if (*end || options.hold < 0)
				return false;
			break;
		case 'v':
			options.budget = strtod(optarg, &end);
			if (*end || options.budget < 0)
				return false;
			break;
		default: return false;
		}
	}
	if (optind < argc)
		options.command = argv + optind;
	return options.object != NULL;
}

int main(int argc, char **argv)
{
	const char *settings = NULL;
	char *text = NULL;
	long long end = 0;
	pid_t child = 0;
	int kmsg;

	libbpf_set_print(on_libbpf_message);
	if (argc > 1 && !strcmp(argv[1], "--await") && !await_arguments(argv[2], &argc, &argv))
		return USAGE;
	if (!parse_options(argc, argv, &settings))
		return usage();
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	run.traced = -1;
	kmsg = kmsg_open();
	run.stage = "open";
	if (options.bpf_stats && bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		fprintf(stderr, "schedc-load: BPF statistics: %s\n", strerror(errno));
	if (settings_read(settings, &text, &run.problem)) {
		options.settings = text;
		run.outcome = one_life(&child, &end);
		while (wants_restart() && run.outcome == LEFT) {
			run.restarts++;
			run.problem.length = 0;
			run.problem.data[0] = 0;
			run.outcome = one_life(&child, &end);
		}
	} else {
		run.outcome = USAGE;
	}
	if (child > 0)
		stop_command(child);
	reap_exercise();
	if (run.outcome == FINE && run.command_status)
		run.outcome = COMMAND_FAILED;
	kmsg_collect(kmsg, &run.kmsg);
	if (write_report() && run.outcome == FINE)
		return USAGE;
	return run.outcome;
}
