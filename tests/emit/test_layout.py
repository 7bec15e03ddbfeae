"""The pieces that make the text: layout, functions made of bodies, lines, needs."""

from schedc.emit.functions import (
    declare,
    from_policy,
    function,
    mentions,
    resolve_lines,
)
from schedc.emit.layout import tidy, wrap
from schedc.emit.needs import asks_last_ran, of
from schedc.source import Span
from tests.emit.generated import from_text

KEYED = """policy keyed 1.0.0
queue a by vtime within -20ms..100ms
{queues}
state task.used : vtime of a
class first when kthread
class rest
on stop {{ task.used += charge(ran) }}
enqueue first to a key {first} slice 4ms
enqueue rest to {rest} slice 4ms
dispatch {{
{lines}
}}
"""


def test_a_declaration_goes_to_the_top_and_its_value_stays() -> None:
    body = "{\n\tfirst();\n\n\n\tu32 cls = classify(p);\n\tuse(cls);\n}"
    assert tidy(body) == "{\n\tu32 cls;\n\n\tfirst();\n\n\tcls = classify(p);\n\tuse(cls);\n}"


def test_long_lines_break_at_the_outermost_level() -> None:
    call = f"\tif (first({'a' * 40}, b) && second({'c' * 30}, d))"
    assert (
        wrap(call)
        == [
            f"\tif (first({'a' * 40}, b) &&",
            f"\t    second({'c' * 30}, d))",
        ]
        or len(call.expandtabs(8)) <= 100
    )
    long = f"\tx = call({'a' * 60}, {'b' * 60});"
    assert wrap(long) == [f"\tx = call({'a' * 60},", f"\t\t {'b' * 60});"]


def test_what_a_text_mentions() -> None:
    assert mentions("use(t->c);", "t") and not mentions("use(t->c);", "c")
    assert not mentions("/* now */ then", "now")
    assert not mentions("\x01now.sched:3\nx = 1;\n\x02", "now")
    assert not mentions("nowhere(know)", "now")


def test_a_function_takes_what_its_body_mentions() -> None:
    made = function("f", "s64", ["\treturn c->x + now;"])
    assert made.parameters == ("cpu", "now") and made.call == "f(cpu, now)"
    assert "struct cpu_ctx *c = &cpu_ctx[cpu_index(cpu)];" in made.text
    given = function("f", "s64", ["\treturn c->x;"], given=("c",))
    assert given.parameters == ("c",) and "cpu_index" not in given.text


def test_a_callback_without_its_task_bails_out() -> None:
    assert "if (!t)\n\t\treturn 7;" in declare("\tt->x = 1;", "p", "7")
    left = declare("\tt->x = 1;", "p, enq_flags", "enqueue")
    assert "scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 0, enq_flags);" in left
    assert "s32 cpu = prev_cpu;" in declare("\tuse(cpu);", "p, prev_cpu", "0", cpu="prev_cpu")
    assert declare("\tuse(p);", "p") == "\tuse(p);"


def test_directives() -> None:
    marked = "\n".join(["own", *from_policy(Span(0, 1), lambda _: ("p.sched", 7), ["a", "b"]), "c"])
    assert resolve_lines(marked, "p.bpf.c").split("\n") == [
        "own", '#line 7 "p.sched"', "a", '#line 7 "p.sched"', "b", '#line 7 "p.bpf.c"', "c",
    ]  # fmt: skip


def keyed(first: str, rest: str, queues: str = "", lines: str = "  take a") -> str | None:
    policy, _ = from_text(KEYED.format(first=first, rest=rest, queues=queues, lines=lines))
    return of(policy).vtime_in_dsq


def test_a_vtime_lives_in_the_kernels_field_only_if_it_is_the_key_everywhere() -> None:
    assert keyed("task.used", "a key task.used") == "used"
    assert keyed("task.used", "a key task.used - 1ms") is None
    assert keyed("task.used - 1ms", "a key task.used") is None
    both = "  take a at most 50% every 40ms\n  take b"
    assert keyed("task.used", "b", "queue b fifo", both) == "used"
    moment = "queue b by moment within -1ms..1ms"
    assert keyed("task.used", "b key now", moment, both) is None


def test_ran_is_kept_only_where_it_is_read_later() -> None:
    at_stop = from_text(
        KEYED.format(first="task.used", rest="a key task.used", queues="", lines="  take a")
    )
    assert not asks_last_ran(at_stop[0])
    later = KEYED.replace(
        "on stop", "state task.x : time in 0ms..1s\non sleep {{ task.x = ran }}\non stop"
    )
    later = later.replace("when kthread", "when task.x > 1ms")
    assert asks_last_ran(
        from_text(
            later.format(first="task.used", rest="a key task.used", queues="", lines="  take a")
        )[0]
    )
