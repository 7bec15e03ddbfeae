// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "waiting.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LOADER "schedc-load"
#define REHEARSAL "/lib/schedc/rehearsal.o"

static pid_t loader;
static int arguments = -1;

void waiting_loader_start(void)
{
	int to[2], from[2];
	char ready;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return;
	loader = fork();
	if (loader == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		execl("/bin/" LOADER, LOADER, "--await", REHEARSAL, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	arguments = to[1];
	if (read(from[0], &ready, 1) != 1)
		loader = 0; // it ended; a job starts another one
	close(from[0]);
}

void waiting_loader_rehearse(void)
{
	if (loader > 0 && write(arguments, "\1", 1) != 1)
		loader = 0;
}

pid_t waiting_loader_take(const char *path)
{
	char text[4096];
	pid_t taken = loader;
	ssize_t size = 0;
	int fd;

	if (loader <= 0)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		size = read(fd, text, sizeof(text));
		close(fd);
	}
	loader = 0; // after any job all processes are killed, this one too
	if (size < (ssize_t)sizeof(LOADER) || memcmp(text, LOADER, sizeof(LOADER)) ||
	    write(arguments, text, size) != size)
		taken = 0;
	close(arguments); // the end of its arguments; with none it ends, rehearsing or not
	return taken;
}
