/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's types, for schedulers written by hand: those that the simulator has. */
#ifndef SIM_VMLINUX_H
#define SIM_VMLINUX_H

#include "bpf.h"

typedef u64 __be64;
typedef unsigned long size_t_;
typedef s32 pid_t;

#endif
