// SPDX-License-Identifier: Apache-2.0
//
// What runs while a scheduler is loaded: the command, or some tasks of our own.

#define _GNU_SOURCE
#include "loader.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_TASKS 64

static pid_t tasks[MAX_TASKS];
static int nr_tasks;

pid_t start_command(void)
{
	pid_t child = fork();

	if (child == 0) {
		setpgid(0, 0);
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		execvp(options.command[0], options.command);
		fprintf(stderr, "schedc-load: %s: %s\n", options.command[0], strerror(errno));
		_exit(127);
	}
	if (child > 0)
		setpgid(child, child);
	return child;
}

void stop_command(pid_t child)
{
	int status;

	kill(-child, SIGTERM);
	for (int tries = 0; tries < 50; tries++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return;
		usleep(20000);
	}
	kill(-child, SIGKILL);
	waitpid(child, &status, 0);
}

bool command_ended(pid_t child)
{
	int status;

	if (waitpid(child, &status, WNOHANG) != child)
		return false;
	run.command_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

// One of the tasks that give a scheduler something to decide: a hog, or one that keeps waking.
static void __attribute__((noreturn)) task(int number)
{
	volatile unsigned long work = 0;

	for (;;) {
		for (int i = 0; i < 20000; i++)
			work++;
		if (number % 2)
			usleep(500);
	}
}

// Twice as many tasks as cpus, so that there is a queue, and half of them sleep and wake.
void start_exercise(void)
{
	int count = 2 * libbpf_num_possible_cpus();

	for (int i = 0; i < count && nr_tasks < MAX_TASKS; i++) {
		pid_t child = fork();

		if (child == 0) {
			signal(SIGINT, SIG_DFL);
			signal(SIGTERM, SIG_DFL);
			close_range(3, ~0U, 0); // a copy of the link would keep the scheduler loaded
			task(i);
		}
		if (child > 0)
			tasks[nr_tasks++] = child;
	}
}

// They are not waited for here: even a killed task must run once more, and a bad scheduler may never
// let it.
void stop_exercise(void)
{
	for (int i = 0; i < nr_tasks; i++)
		kill(tasks[i], SIGKILL);
}

void reap_exercise(void)
{
	for (int i = 0; i < nr_tasks; i++)
		waitpid(tasks[i], NULL, 0);
	nr_tasks = 0;
}
