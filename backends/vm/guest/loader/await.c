// SPDX-License-Identifier: Apache-2.0
//
// A loader that was started beforehand: it has read what every load needs, and waits for its
// arguments. A machine is saved in that state; so a check in a restored one starts right there.

#define _GNU_SOURCE
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORDS 64

// Says that it is ready by a byte on standard output. Arguments come on standard input, each ended by
// a zero byte. Their sender expects the process to
// be as one that was just started in /job: with its folder, its console, its session.
bool await_arguments(int *argc, char ***argv)
{
	static char *words[MAX_WORDS + 1];
	static char text[8192];
	size_t length = 0;
	ssize_t got;
	int console;

	btf__load_vmlinux_btf();
	if (write(1, "r", 1) != 1)
		return false;
	do {
		got = read(0, text + length, sizeof(text) - 1 - length);
		length += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	*argc = 0;
	for (char *p = text; p < text + length && *argc < MAX_WORDS; p += strlen(p) + 1)
		words[(*argc)++] = p;
	*argv = words;
	setsid();
	console = open("/job/console", O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (*argc == 0 || chdir("/job") || console < 0)
		return false;
	dup2(console, 1);
	dup2(console, 2);
	return true;
}
