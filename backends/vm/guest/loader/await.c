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
#define REHEARSE 1	// a byte that no argument begins with

// Says that it is ready by a byte on standard output. Arguments come on standard input, each ended by
// a zero byte; before them, if wished, the byte that asks for a rehearsal. Their sender expects the
// process to be as one that was just started in /job: with its folder, its console, its session.
bool await_arguments(const char *object, int *argc, char ***argv)
{
	static char *words[MAX_WORDS + 1];
	static char text[8192];
	size_t length = 0;
	ssize_t got;
	int console;
	bool well;

	btf__load_vmlinux_btf();
	well = object && !access(object, R_OK) && rehearse(object, false);
	if (write(1, "r", 1) != 1)
		return false;
	while ((got = read(0, text + length, sizeof(text) - 1 - length)) > 0 ||
	       (got < 0 && errno == EINTR)) {
		length += got > 0 ? (size_t)got : 0;
		if (!length || *text != REHEARSE)
			continue;
		memmove(text, text + 1, --length);
		if (!length && well)
			rehearse(object, true);
	}
	*argc = 0;
	for (char *p = text; p < text + length && *argc < MAX_WORDS; p += strlen(p) + 1)
		words[(*argc)++] = p;
	*argv = words;
	if (*argc == 0)
		return false;
	setsid();
	console = open("/job/console", O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (chdir("/job") || console < 0)
		return false;
	dup2(console, 1);
	dup2(console, 2);
	return true;
}
