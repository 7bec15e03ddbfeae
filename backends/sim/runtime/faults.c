/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls into the policy, and what happens when its code does what the kernel's verifier would not
 * have let through. Each call notes where to come back to; a fault inside it ends the scheduler
 * with an error that names the callback and the address, and the simulation goes on without it. A
 * fault of the runtime's own ends the process, with a line that says so.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ext.h"

struct call *current_call;
const char *current_callback;
u32 open_cursors;
s32 acting_cpu;

static struct {
	int signal;
	void *address;
} fault;

void call_begin(struct call *call, const char *name, u32 mask, const struct task_struct *a,
		const struct task_struct *b)
{
	call->name = name;
	call->outer = current_call;
	call->mask = mask | (current_call ? current_call->mask : 0);
	call->cursors = open_cursors;
	call->tasks[0] = a;
	call->tasks[1] = b;
	current_call = call;
	current_callback = name;
	acting_cpu = this_cpu();
	if (sim.machine.costs.callback)
		charge_here(sim.machine.costs.callback);
}

void call_end(struct call *call)
{
	if (open_cursors != call->cursors)
		close_cursors(call->cursors);
	current_call = call->outer;
	current_callback = current_call ? current_call->name : NULL;
}

static const char *fault_words(void)
{
	switch (fault.signal) {
	case SIGFPE:
		return "divided by zero";
	case SIGILL:
		return "ran into an instruction that can't be reached";
	case SIGBUS:
	case SIGSEGV:
		return "accessed memory that isn't its own";
	}
	return "failed";
}

/* Its state may be torn, so nothing of it is called again but ops.exit(), which is guarded too. */
void call_faulted(struct call *call)
{
	void (*exit)(struct scx_exit_info *) = sch.ops->exit;

	sch.off = (struct sched_ext_ops){ .exit = strcmp(call->name, "exit") ? exit : NULL };
	sch.ops = &sch.off;
	sch.direct = NULL;
	sch.buffered = 0;
	if (fault.signal == SIGSEGV || fault.signal == SIGBUS)
		scx_error("ops.%s() %s, at 0x%llx", call->name, fault_words(),
			  (u64)(unsigned long)fault.address);
	else
		scx_error("ops.%s() %s", call->name, fault_words());
}

/* --- reads that may fail: bpf_probe_read_kernel() --------------------------------------------- */

static volatile bool probing;
static jmp_buf probe_jump;

static bool probe(char *dst, const volatile char *src, u32 size, bool string)
{
	u32 i;

	if (_setjmp(probe_jump)) {
		probing = false;
		return false;
	}
	probing = true;
	for (i = 0; i < size; i++) {
		dst[i] = src[i];
		if (string && !dst[i])
			break;
	}
	probing = false;
	return true;
}

long bpf_probe_read_kernel(void *dst, u32 size, const void *src)
{
	if (probe(dst, src, size, false))
		return 0;
	memset(dst, 0, size);
	return -EFAULT;
}

long bpf_probe_read_kernel_str(void *dst, u32 size, const void *src)
{
	char *text = dst;

	if (!size)
		return 0;
	text[size - 1] = 0;
	if (!probe(dst, src, size, true)) {
		memset(dst, 0, size);
		return -EFAULT;
	}
	text[size - 1] = 0;
	return (long)strlen(text) + 1;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void say(const char *text)
{
	size_t length = strlen(text);

	while (length) {
		ssize_t done = write(2, text, length);

		if (done <= 0)
			return;
		text += done;
		length -= (size_t)done;
	}
}

static void say_number(u64 value)
{
	char text[24], *at = text + sizeof(text) - 1;

	*at = 0;
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	say(at);
}

static const char *signal_name(int number)
{
	switch (number) {
	case SIGSEGV:
		return "SIGSEGV";
	case SIGBUS:
		return "SIGBUS";
	case SIGFPE:
		return "SIGFPE";
	case SIGILL:
		return "SIGILL";
	case SIGABRT:
		return "SIGABRT";
	case SIGXCPU:
		return "SIGXCPU";
	}
	return "signal";
}

static void on_fatal(int number)
{
	say("schedc-sim: ");
	say(signal_name(number));
	say(" at ");
	say_number(sim.now);
	say(" ns in ");
	say(current_callback ? "ops." : "the runtime");
	if (current_callback) {
		say(current_callback);
		say("()");
	}
	say("\n");
	signal(number, SIG_DFL);
	raise(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	fault.signal = number;
	fault.address = info->si_addr;
	if (probing)
		_longjmp(probe_jump, 1);
	if (current_call)
		_longjmp(current_call->jump, 1);
	on_fatal(number);
}

/* ASan reports better than we do, but reads that may fail must still fail softly. */
void faults_install(void)
{
	static char stack[64 * 1024];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };

	sigaltstack(&alternate, NULL);
	action.sa_sigaction = on_fault;
	for (u32 i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		sigaction(faults[i], &action, NULL);
	action.sa_flags = SA_ONSTACK;
	action.sa_handler = on_fatal;
	sigaction(SIGABRT, &action, NULL);
	sigaction(SIGXCPU, &action, NULL);
}
