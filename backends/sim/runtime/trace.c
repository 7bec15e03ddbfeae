/* SPDX-License-Identifier: Apache-2.0 */
/* The trace file: see enum trace_kind in trace.h. */
#include <string.h>
#include "core.h"

struct record {
	u64 time;
	u8 kind, n;
	s16 cpu;
	u32 a;
	u64 b, c;
};

_Static_assert(sizeof(struct record) == 32, "records are of 32 bytes");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

static FILE *file;
static u64 written;
static u32 texts;

static void put(const struct record *record)
{
	if (fwrite(record, sizeof(*record), 1, file) != 1)
		fail("%s: can't be written", sim.options.trace);
	written++;
}

void trace_open(void)
{
	static char buffer[1 << 16];
	u32 numbers[4] = { sizeof(struct record), sim.machine.nr_cpus, sim.machine.hz, 0 };

	if (!sim.options.trace)
		return;
	file = fopen(sim.options.trace, "wb");
	if (!file)
		fail("%s: can't be written", sim.options.trace);
	setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	fwrite("schedtr1", 8, 1, file);
	fwrite(numbers, sizeof(numbers), 1, file);
	fwrite(&sim.options.seed, sizeof(u64), 1, file);
	sim.tracing = true;
}

static u64 put_text(const char *text)
{
	size_t length = strlen(text);

	texts++;
	do {
		struct record record = { sim.now, TRACE_TEXT, 0, -1, texts, 0, 0 };

		record.n = (u8)(length < 16 ? length : 16);
		memcpy(&record.b, text, record.n < 8 ? record.n : 8);
		if (record.n > 8)
			memcpy(&record.c, text + 8, record.n - 8u);
		put(&record);
		text += record.n;
		length -= record.n;
	} while (length);
	return texts;
}

void trace_write(enum trace_kind kind, s32 cpu, u64 a, u64 b, u64 c, const char *text)
{
	if (text)
		c = put_text(text);
	put(&(struct record){ sim.now, (u8)kind, 0, (s16)cpu, (u32)a, b, c });
}

void trace_close(void)
{
	if (!sim.tracing)
		return;
	put(&(struct record){ sim.now, TRACE_END, 0, -1, 0, written, 0 });
	if (fclose(file))
		fail("%s: can't be written", sim.options.trace);
	sim.tracing = false;
}
