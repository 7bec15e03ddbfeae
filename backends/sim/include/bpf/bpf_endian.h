/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SIM_BPF_ENDIAN
#define SIM_BPF_ENDIAN

#include "../bpf.h"

#endif
