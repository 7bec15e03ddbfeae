/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The armed events, in a heap with four children a node: flatter than a binary one, and the four
 * lie in one cache line. Entries carry their whole key, so that sifting touches no other memory
 * but each moved event's place. Ties go by the order of arming: a run is the same every time.
 *
 * Most events arm another one: so the root stays a hole after a pop until something is armed, or
 * the heap is looked at, and one sift does for both.
 */
#include <stdlib.h>
#include <string.h>
#include "core.h"

#define ARITY 4u
#define SLOT_BITS 24
#define SLOT_MASK ((1u << SLOT_BITS) - 1)

struct entry {
	u64 at;
	u64 order;		/* arming number << SLOT_BITS | slot */
};

struct slot {
	event_fn fn;
	u64 argument;
	u32 place;		/* in the heap; while free: the next free slot */
	u32 generation;		/* of 8 bits: a handle that is out of date cancels nothing */
};

static struct {
	struct entry *memory, *heap;	/* the heap begins 3 entries in: children are in one line */
	struct slot *slots;
	bool hole;		/* the root is none, and counts */
	u32 count, capacity;
	u32 used, free;		/* slot 0 is none */
	u64 armed;
} events;

static inline bool before(const struct entry *a, const struct entry *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static inline void put(u32 place, const struct entry *entry)
{
	events.heap[place] = *entry;
	events.slots[entry->order & SLOT_MASK].place = place;
}

static void sift_up(u32 place, struct entry entry)
{
	while (place) {
		u32 parent = (place - 1) / ARITY;

		if (!before(&entry, &events.heap[parent]))
			break;
		put(place, &events.heap[parent]);
		place = parent;
	}
	put(place, &entry);
}

static void sift_down(u32 place, struct entry entry)
{
	for (;;) {
		u32 child = place * ARITY + 1, end = child + ARITY, least = child;

		if (child >= events.count)
			break;
		if (end > events.count)
			end = events.count;
		while (++child < end)
			if (before(&events.heap[child], &events.heap[least]))
				least = child;
		if (!before(&events.heap[least], &entry))
			break;
		put(place, &events.heap[least]);
		place = least;
	}
	put(place, &entry);
}

static void sift(u32 place, struct entry entry)
{
	if (place && before(&entry, &events.heap[(place - 1) / ARITY]))
		sift_up(place, entry);
	else
		sift_down(place, entry);
}

#define SHIFT (ARITY - 1)

static void grow(void)
{
	u32 capacity = events.capacity ? events.capacity * 2 : 1024;
	struct entry *memory = aligned_alloc(64, (capacity + ARITY) * sizeof(*memory));

	if (capacity > SLOT_MASK)
		fail("more than %u events are armed at once", events.capacity);
	events.slots = realloc(events.slots, (capacity + 1) * sizeof(*events.slots));
	if (!memory || !events.slots)
		fail("out of memory");
	if (events.count)
		memcpy(memory + SHIFT, events.heap, events.count * sizeof(*memory));
	free(events.memory);
	events.memory = memory;
	events.heap = memory + SHIFT;
	events.capacity = capacity;
}

static u32 new_slot(void)
{
	u32 slot = events.free;

	if (slot) {
		events.free = events.slots[slot].place;
		return slot;
	}
	slot = ++events.used;
	events.slots[slot].generation = 0;
	return slot;
}

static void free_slot(u32 slot)
{
	events.slots[slot].generation = (events.slots[slot].generation + 1) & 0xff;
	events.slots[slot].place = events.free;
	events.free = slot;
}

static void take_out(u32 place)
{
	struct entry last = events.heap[--events.count];

	if (place < events.count)
		sift(place, last);
}

static void fill_hole(void)
{
	if (!events.hole)
		return;
	events.hole = false;
	take_out(0);
}

u32 event_arm(u64 at, event_fn fn, u64 argument)
{
	struct entry entry = { at, ++events.armed << SLOT_BITS };
	struct slot *slot;
	u32 number;

	if (events.count == events.capacity)
		grow();
	number = new_slot();
	slot = &events.slots[number];
	slot->fn = fn;
	slot->argument = argument;
	entry.order |= number;
	if (events.hole) {
		events.hole = false;
		sift_down(0, entry);
	} else {
		sift_up(events.count++, entry);
	}
	return slot->generation << SLOT_BITS | number;
}

/* The slot of a handle, 0 if its event is over. */
static u32 live_slot(u32 handle)
{
	u32 number = handle & SLOT_MASK;

	return number && events.slots[number].generation == handle >> SLOT_BITS ? number : 0;
}

void event_cancel(u32 handle)
{
	u32 number = live_slot(handle);

	if (!number)
		return;
	fill_hole();
	take_out(events.slots[number].place);
	free_slot(number);
}

u32 event_move(u32 handle, u64 at)
{
	u32 number = live_slot(handle);

	if (!number)
		return handle;
	fill_hole();
	sift(events.slots[number].place,
	     (struct entry){ at, ++events.armed << SLOT_BITS | number });
	return handle;
}

u64 events_next(void)
{
	fill_hole();
	return events.count ? events.heap[0].at : TIME_MAX;
}

bool event_pop(u64 *at, event_fn *fn, u64 *argument)
{
	u32 number;

	fill_hole();
	if (!events.count)
		return false;
	number = events.heap[0].order & SLOT_MASK;
	*at = events.heap[0].at;
	*fn = events.slots[number].fn;
	*argument = events.slots[number].argument;
	events.hole = true;
	free_slot(number);
	return true;
}

void events_free(void)
{
	free(events.memory);
	free(events.slots);
}
