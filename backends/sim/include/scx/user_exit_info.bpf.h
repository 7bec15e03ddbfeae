/* SPDX-License-Identifier: GPL-2.0 */
/* Why the scheduler ended, kept where its user-space part would read it. */
#ifndef SIM_USER_EXIT_INFO_BPF_H
#define SIM_USER_EXIT_INFO_BPF_H

#include "../bpf.h"

struct user_exit_info {
	int kind;
	s64 exit_code;
	char reason[128];
	char msg[1024];
};

#define UEI_DEFINE(name) struct user_exit_info name
#define UEI_RECORD(name, info)                                                                   \
	({                                                                                       \
		bpf_probe_read_kernel_str((name).reason, sizeof((name).reason), (info)->reason); \
		bpf_probe_read_kernel_str((name).msg, sizeof((name).msg), (info)->msg);          \
		(name).exit_code = (info)->exit_code;                                            \
		(name).kind = (int)(info)->kind;                                                 \
	})

#endif
