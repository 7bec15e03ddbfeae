/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The native counterpart of the header of the same name that a generated scheduler is compiled with
 * for the kernel: its text is built with this one instead, unchanged, and runs in the simulator.
 */
#ifndef SCHEDC_SCX_H
#define SCHEDC_SCX_H

#include "bpf.h"

#define KERNEL_ENUM(type, name) (name)

#endif
