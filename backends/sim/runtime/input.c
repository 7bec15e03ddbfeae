/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of input, memory, and the end of a run that can't go on. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "core.h"

void fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("schedc-sim: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		fail("out of memory");
	return memory;
}

char *read_whole(const char *path, size_t *length)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
	size_t used = 0, size = 1 << 16, got;
	char *text = malloc(size);

	if (!file)
		fail("%s: can't be read", path);
	while (text && (got = fread(text + used, 1, size - used - 1, file))) {
		used += got;
		if (used + 1 == size)
			text = realloc(text, size *= 2);
	}
	if (!text)
		fail("out of memory");
	if (ferror(file))
		fail("%s: can't be read", path);
	if (file != stdin)
		fclose(file);
	text[used] = '\0';
	if (length)
		*length = used;
	return text;
}
