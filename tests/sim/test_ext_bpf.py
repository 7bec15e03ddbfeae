"""Maps, timers, texts and numbers that a scheduler's C gets natively, as BPF gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from schedc.data import data_path
from tests.sim.scx import HOG, MS, Group, run

A = Group("a")
STAGES = Path(__file__).parents[1] / "stages"

MAPS = r"""
struct pair { u32 a, b; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 2); __type(key, struct pair);
         __type(value, u64); } hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 2); __type(key, u32);
         __type(value, u32); } lru SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __uint(key_size, 4);
         __uint(value_size, 12); } array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, u32);
         __type(value, u64); } percpu SEC(".maps");
struct line { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 2); __type(value, u32); }
    first SEC(".maps"), second SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, int);
         __array(values, struct line); } lines SEC(".maps") = { .values = { &first, &second } };
struct { __uint(type, BPF_MAP_TYPE_STACK); __uint(max_entries, 4); __type(value, u32); }
    stack SEC(".maps");
static long seen(void *map, const u32 *key, u32 *value, void *ctx)
{ say("walk %u", *value); return 0; }
static void hashes(void)
{
	struct pair one = { 1, 2 }, two = { 2, 1 }, three = { 3, 3 };
	u64 value = 10, *at;

	say("new %ld", bpf_map_update_elem(&hash, &one, &value, BPF_NOEXIST));
	say("again %ld", bpf_map_update_elem(&hash, &one, &value, BPF_NOEXIST));
	say("absent %ld", bpf_map_update_elem(&hash, &two, &value, BPF_EXIST));
	bpf_map_update_elem(&hash, &two, &value, BPF_ANY);
	say("full %ld", bpf_map_update_elem(&hash, &three, &value, BPF_ANY));
	at = bpf_map_lookup_elem(&hash, &two);
	say("value %llu", at ? *at : 0);
	say("deleted %ld %ld", bpf_map_delete_elem(&hash, &two), bpf_map_delete_elem(&hash, &two));
	say("gone %d", bpf_map_lookup_elem(&hash, &two) == NULL);
	for (u32 i = 0; i < 3; i++) {
		bpf_map_update_elem(&lru, &i, &i, BPF_ANY);
		u32 zero = 0;
		bpf_map_lookup_elem(&lru, &zero);
	}
	bpf_for_each_map_elem(&lru, seen, NULL, 0);
}
static void arrays(void)
{
	u32 i = 2, j = 3;
	u64 *n = bpf_map_lookup_elem(&percpu, &i);

	int in = bpf_map_lookup_elem(&array, &i) != NULL;
	say("bounds %d %d", in, bpf_map_lookup_elem(&array, &j) != NULL);
	say("over %d", n != NULL);
	i = 1;
	n = bpf_map_lookup_percpu_elem(&percpu, &i, 1);
	if (n) *n = 7;
	n = bpf_map_lookup_elem(&percpu, &i);
	say("mine %llu", n ? *n : 99);
	n = bpf_map_lookup_percpu_elem(&percpu, &i, 1);
	say("theirs %llu", n ? *n : 99);
}
static void queues(void)
{
	int which = 1;
	void *line = bpf_map_lookup_elem(&lines, &which);
	u32 in, out = 0;

	in = 5; bpf_map_push_elem(line, &in, 0);
	in = 6; bpf_map_push_elem(line, &in, 0);
	say("push %ld", bpf_map_push_elem(line, &in, 0));
	bpf_map_pop_elem(&second, &out);
	say("pop %u", out);
	bpf_map_peek_elem(&second, &out);
	say("peek %u", out);
	say("empty %ld", bpf_map_pop_elem(&first, &out));
	in = 1; bpf_map_push_elem(&stack, &in, 0);
	in = 2; bpf_map_push_elem(&stack, &in, 0);
	bpf_map_pop_elem(&stack, &out);
	say("top %u", out);
}
"""


def flat(text: str) -> str:
    """As the value of a macro."""
    return " ".join(text.split())


def test_maps_of_each_kind() -> None:
    ran = run(
        A, cpus=2, duration=1 * MS, before=flat(MAPS),
        init="(hashes(), arrays(), queues(), 0)",
    )  # fmt: skip
    assert [text for _, text in ran.said][: 20] == [
        "new 0", "again -17", "absent -2", "full -7", "value 10", "deleted 0 -2", "gone 1",
        "walk 2", "walk 0",
        "bounds 1 0", "over 0", "mine 0", "theirs 7",
        "push -7", "pop 5", "peek 6", "empty -2", "top 2",
        "init_task a fork=0", "enable a weight=100",
    ]  # fmt: skip


STORAGE = """
struct mine { u64 runs; };
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC);
         __type(key, int); __type(value, struct mine); } store SEC(".maps");
"""


def test_task_storage_is_made_kept_and_goes_with_the_task() -> None:
    ran = run(
        Group("s", "run fixed 1000000\nsleep - fixed 1000000", loop="3"), A, duration=60 * MS,
        before=flat(STORAGE),
        running="struct mine *m = bpf_task_storage_get(&store, p, NULL, 0);"
        " bool had = m; if (!m) m = bpf_task_storage_get(&store, p, NULL,"
        ' BPF_LOCAL_STORAGE_GET_F_CREATE); m->runs++; say("runs %d %llu", had, m->runs);',
    )  # fmt: skip
    lines = [text for _, text in ran.said]
    counted = [lines[i + 1] for i, text in enumerate(lines) if text == "running s cpu=0"]
    assert counted[:3] == ["runs 0 1", "runs 1 2", "runs 1 3"]


TIMERS = """
struct beat { struct bpf_timer timer; u64 n; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, u32);
         __type(value, struct beat); } beats SEC(".maps");
static int on_beat(void *map, int *key, struct beat *b)
{ say("beat %d %llu on %d", *key, ++b->n, bpf_get_smp_processor_id());
  bpf_timer_start(&b->timer, 2 * NSEC_PER_MSEC, 0); return 0; }
static int start(u32 i)
{ struct beat *b = bpf_map_lookup_elem(&beats, &i);
  if (!b) return -ENOENT;
  bpf_timer_init(&b->timer, &beats, CLOCK_MONOTONIC);
  say("twice %ld", bpf_timer_init(&b->timer, &beats, CLOCK_MONOTONIC));
  bpf_timer_set_callback(&b->timer, on_beat);
  return bpf_timer_start(&b->timer, NSEC_PER_MSEC, 0); }
"""


def test_a_timer_fires_where_it_was_started_with_the_key_of_its_value() -> None:
    ran = run(A, cpus=2, duration=6 * MS, before=flat(TIMERS), init="start(1)")
    assert [(time, text) for time, text in ran.said if text.startswith(("beat", "twice"))] == [
        (0, "twice -16"), (1 * MS, "beat 1 1 on 0"), (3 * MS, "beat 1 2 on 0"),
        (5 * MS, "beat 1 3 on 0"),
    ]  # fmt: skip


def test_random_numbers_are_the_seeds() -> None:
    def numbers(seed: int) -> list[str]:
        return run(
            A, seed=seed, duration=1 * MS,
            running='say("number %u %u", bpf_get_prandom_u32(), bpf_get_prandom_u32())',
        ).words("number")  # fmt: skip

    assert numbers(1) == numbers(1) != numbers(2)


def test_masks_and_loops() -> None:
    ran = run(
        Group("a", HOG, cpus="1 3"), cpus=4, duration=1 * MS,
        running="struct bpf_cpumask *m = bpf_cpumask_create(); s32 i, sum = 0;"
        " bpf_cpumask_set_cpu(3, m); bpf_cpumask_set_cpu(600, m);"
        " bpf_for(i, 2, 5) sum += i; bpf_repeat(10) sum++;"
        ' say("mask %u %d %d %u sum %d", bpf_cpumask_weight(p->cpus_ptr),'
        " bpf_cpumask_intersects(cast_mask(m), p->cpus_ptr),"
        " bpf_cpumask_subset(p->cpus_ptr, cast_mask(m)), bpf_cpumask_first(p->cpus_ptr), sum);"
        " bpf_cpumask_release(m)",
    )  # fmt: skip
    assert ran.words("mask") == ["mask 2 1 0 1 sum 19"]


def test_names_of_older_kernels() -> None:
    ran = run(A, duration=1 * MS, enqueue="scx_bpf_dispatch(p, Q, SLICE, flags)",
              dispatch="scx_bpf_consume(Q)")  # fmt: skip
    assert ran.words("running") == ["running a cpu=0"]


# --- whole schedulers -----------------------------------------------------------------------------

SOME = (
    Group("hog", HOG, count=3),
    Group("napper", "run uniform 500000 50\nsleep - uniform 2000000 50", count=4),
    Group("bound", "run fixed 3000000\nsleep - fixed 1000000", cpus="1", nice=-5),
    Group("worker", "run fixed 200000\nsleep - fixed 5000000", cpus="0", kthread=True),
    Group("brief", "run fixed 400000\nfork 5 1\nsleep - fixed 1000000", loop="20"),
    Group("child", "run fixed 300000\nexit", loop="1", forked=True),
)
TOPOLOGY = "".join(
    f"cpu {i} core {i // 2} llc {i // 4} node {i // 4} capacity 1024\n" for i in range(8)
)


@pytest.mark.parametrize("golden", sorted(STAGES.glob("*.c")), ids=lambda path: path.stem)
@pytest.mark.parametrize(("cpus", "machine"), [(2, ""), (8, TOPOLOGY)], ids=["small", "large"])
def test_the_generated_c_runs_unchanged(golden: Path, cpus: int, machine: str) -> None:
    ran = run(
        *SOME, text=golden.read_text(), cpus=cpus, machine=machine, duration=200 * MS,
    )  # fmt: skip
    assert (ran.code, ran.kind, ran.message) == (0, 0, "")
    counters = ran.result["counters"]
    assert sum(one["run"] for one in counters["classes"]) > 30
    assert counters["queues"]


def test_a_scheduler_written_by_hand_runs_unchanged_and_shares_by_weight() -> None:
    text = (data_path("examples") / "plain_c" / "window.bpf.c").read_text()
    ran = run(
        Group("light", HOG, nice=5, count=2), Group("heavy", HOG, nice=0, count=2), text=text,
        duration=4000 * MS,
    )  # fmt: skip
    light, heavy = (group["cpu_ns"] for group in ran.result["groups"])
    assert ran.kind == 0
    # By weight 33 : 100.
    assert 2.8 < heavy / light < 3.3


def test_a_setting_changes_a_constant() -> None:
    text = (data_path("examples") / "plain_c" / "window.bpf.c").read_text()
    few = run(A, Group("b"), text=text, settings="set slice_ns 40000000\n", duration=400 * MS)
    many = run(A, Group("b"), text=text, settings="set slice_ns 4000000\n", duration=400 * MS)
    switches = [ran.result["values"]["context_switches"] for ran in (few, many)]
    assert 8 <= switches[0] <= 12
    assert 95 <= switches[1] <= 101


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("set nothing 1", "the policy has no constant named nothing"),
        ("set slice_ns many", "slice_ns can't be set to many (8 bytes)"),
        ("cgroup 0 a", "the policy has no cgroup_refs[0]"),
        ("so what", "not a setting: so what"),
    ],
)
def test_a_bad_setting_is_one_line(line: str, words: str) -> None:
    text = (data_path("examples") / "plain_c" / "window.bpf.c").read_text()
    ran = run(A, text=text, settings=line + "\n")
    assert (ran.code, ran.stderr) == (2, f"schedc-sim: {words}\n")
