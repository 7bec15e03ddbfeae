/* SPDX-License-Identifier: GPL-2.0 */
/* What is kept for each task, struct task_ctx, lives in the task's storage. */
#ifndef SCHEDC_TASKS_H
#define SCHEDC_TASKS_H

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} tasks SEC(".maps");

/* Made in init_task, so that it is there in every other callback. */
static __always_inline struct task_ctx *task_ctx(struct task_struct *p)
{
	return bpf_task_storage_get(&tasks, p, NULL, 0);
}

#endif
