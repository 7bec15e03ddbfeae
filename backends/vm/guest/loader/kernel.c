// SPDX-License-Identifier: Apache-2.0
//
// What the running kernel says about sched_ext: state, messages, events.

#define _GNU_SOURCE
#include "loader.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void text_bytes(struct text *t, const char *data, size_t length)
{
	if (t->length + length + 1 > t->size) {
		t->size = (t->length + length + 1) * 2;
		t->data = realloc(t->data, t->size);
		if (!t->data)
			abort();
	}
	memcpy(t->data + t->length, data, length);
	t->length += length;
	t->data[t->length] = 0;
}

void text_add(struct text *t, const char *format, ...)
{
	char *made;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&made, format, args);
	va_end(args);
	if (length < 0)
		abort();
	text_bytes(t, made, length);
	free(made);
}

// A JSON string. Names of tasks are arbitrary bytes: what isn't ASCII is written as its byte value.
void text_json(struct text *t, const char *data, size_t length)
{
	text_bytes(t, "\"", 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = data[i];

		if (c == '"' || c == '\\')
			text_add(t, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			text_add(t, "\\u%04x", c);
		else
			text_bytes(t, data + i, 1);
	}
	text_bytes(t, "\"", 1);
}

bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
	bool got;

	line[0] = 0;
	if (!file)
		return false;
	got = fgets(line, (int)size, file) != NULL;
	fclose(file);
	line[strcspn(line, "\n")] = 0;
	return got;
}

long long read_number(const char *path)
{
	char line[64];

	return read_line(path, line, sizeof(line)) && isdigit((unsigned char)*line) ? atoll(line) : -1;
}

long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

bool wait_for_state(const char *wanted, int timeout_ms)
{
	long long end = now_ns() + timeout_ms * 1000000LL;
	char state[32];

	for (;;) {
		read_line("/sys/kernel/sched_ext/state", state, sizeof(state));
		if (!strcmp(state, wanted))
			return true;
		if (now_ns() > end)
			return false;
		usleep(2000);
	}
}

// From now on: messages before the load are another scheduler's.
int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static bool about_scheduler(const char *message)
{
	return strstr(message, "sched_ext") || strstr(message, "failed to run for") ||
	       strstr(message, "kfunc BTF");
}

void kmsg_collect(int fd, struct text *into)
{
	char record[8192];
	ssize_t got;

	for (;;) {
		char *message;

		got = fd < 0 ? -1 : read(fd, record, sizeof(record) - 1);
		if (got < 0 && (errno == EPIPE || errno == EINTR))
			continue; // EPIPE: the kernel dropped records before we read them
		if (got <= 0)
			return;
		record[got] = 0;
		message = strchr(record, ';'); // "6,1234,5678,-;text\n KEY=value\n"
		if (!message)
			continue;
		message++;
		message[strcspn(message, "\n")] = 0;
		if (about_scheduler(message) && into->length < 16384)
			text_add(into, "%s\n", message);
	}
}

// root/events is "NAME value" a line; the directory is there while a scheduler is enabled.
void events_read(struct text *json)
{
	FILE *file = fopen("/sys/kernel/sched_ext/root/events", "re");
	char name[128];
	long long value;
	bool first = true;

	text_add(json, "{");
	while (file && fscanf(file, "%127s %lld", name, &value) == 2) {
		text_add(json, "%s", first ? "" : ", ");
		text_json(json, name, strlen(name));
		text_add(json, ": %lld", value);
		first = false;
	}
	if (file)
		fclose(file);
	text_add(json, "}");
}
