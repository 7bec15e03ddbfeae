/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SIM_BPF_CORE_READ
#define SIM_BPF_CORE_READ

#include "../bpf.h"

#endif
