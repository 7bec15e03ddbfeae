/* SPDX-License-Identifier: Apache-2.0 */
/* What a script's run tells: its state after a step, and how it ended. */
#ifndef SCRIPT_SHOW_H
#define SCRIPT_SHOW_H

#include "script.h"

struct script_run {
	struct task **tasks;	/* by number; NULL: not forked yet */
	u32 block, step;	/* of the block */
	u64 turn;
	u64 at;			/* when the present step is due */
	u64 done, turns;
	bool waiting, acted, over;
	u64 waited;		/* of the victim, after the last step */
	char differs[128];	/* empty: nothing does */
	s32 wrong_cpu, expected, seen;	/* NOBODY where no cpu is wrong */
};

extern struct script_run script_run;

s32 script_number(const struct task *p);
/* Keep the state after a step for the report. */
void script_show(const struct script_step *s);
void script_report(FILE *out);

#endif
