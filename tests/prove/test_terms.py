"""Expressions as solver terms: ranges, exactness, what stands for products and quotients."""

import z3

from schedc.ir import nodes as ir
from schedc.prove.parameters import Parameters, declared
from schedc.prove.terms import Environment, Terms, truth
from schedc.source import Span
from tests.prove.written import levels, shipped, written

WEIGHT = ir.FactRef("weight", ir.Type(ir.Kind.WEIGHT), Span(0, 0))
RAN = ir.FactRef("ran", ir.Type(ir.Kind.TIME), Span(0, 0))


def environment(text: str, **changes: object) -> Environment:
    policy = written(text)
    return Environment(policy, declared(policy))


def entails(env: Environment, goal: z3.BoolRef) -> bool:
    solver = z3.Solver()
    solver.add(*env.hypotheses(), z3.Not(truth(goal)))
    return bool(solver.check() == z3.unsat)


def possible(env: Environment, *terms: z3.BoolRef) -> bool:
    solver = z3.Solver()
    solver.add(*env.hypotheses(), *terms)
    return bool(solver.check() == z3.sat)


def test_constants_are_folded() -> None:
    terms = Terms()
    assert terms.add(2, terms.mul(3, 4)) == 14
    assert terms.div(-7, 2) == -4
    assert terms.choose(terms.less(1, 2), 5, 6) == 5
    x = z3.Int("x")
    assert terms.mul(x, 0) == 0
    assert terms.add(x, 0).eq(x)
    assert terms.both(True, x > 1).eq(x > 1)
    assert terms.both(x > 1, False) is False


def test_division_is_the_floor() -> None:
    x = z3.Int("x")
    quotient = Terms().div(x, 4)
    for value in (-9, -8, -1, 0, 3, 4):
        assert z3.simplify(z3.substitute(quotient, (x, z3.IntVal(value)))).as_long() == value // 4


def test_leaves_stay_in_their_ranges() -> None:
    env = environment(levels("state task.x : time in 0ms..100ms = 4ms\non tick { task.x += 1ms }"))
    x = env.read(ir.StateRef("task", "x", ir.Type(ir.Kind.TIME), Span(0, 0)))
    slice_ = env.read(ir.TuneRef("slice", ir.Type(ir.Kind.TIME), Span(0, 0)))
    weight = env.read(WEIGHT)
    assert entails(env, z3.And(x >= 0, x <= 100_000_000))
    assert possible(env, x == 0) and possible(env, x == 100_000_000)
    assert entails(env, z3.And(slice_ >= 4_000_000, slice_ <= 20_000_000))
    assert entails(env, z3.And(weight >= 50, weight <= 200))
    assert env.read(WEIGHT) is weight


def test_parameters_narrow_what_is_read() -> None:
    policy = written(levels())
    narrow = Parameters(8, ir.Interval(100, 100), (("slice", ir.Interval(8_000_000, 9_000_000)),))
    env = Environment(policy, narrow)
    assert env.read(WEIGHT) == 100  # one value: a constant
    slice_ = env.read(ir.TuneRef("slice", ir.Type(ir.Kind.TIME), Span(0, 0)))
    assert entails(env, slice_ <= 9_000_000)


def test_a_charge_is_known_by_its_bounds() -> None:
    env = environment(levels())
    charge = next(a.value for a in env.policy.events["stop"]).args[1]  # type: ignore[union-attr]
    assert isinstance(charge, ir.Charge)
    term = env.evaluate(charge)
    assert [one.op for one in env.abstractions] == ["charge"]
    assert env.evaluate(charge) is term  # the same one for the same expression
    stint = env.policy.stint_max_ns
    assert entails(env, z3.And(term >= 5_000, term <= 2 * stint))
    # What is charged times the highest weight pays for what was run.
    assert entails(env, term * 200 >= 100 * env.abstractions[0].left)
    assert not entails(env, term * 199 >= 100 * env.abstractions[0].left)


def test_products_lie_between_planes() -> None:
    policy = shipped("latency")
    env = Environment(policy, declared(policy))
    links = ir.StateRef("task", "links", ir.Type(ir.Kind.COUNT), Span(0, 0))
    square = ir.Apply(ir.Op.MUL, (links, links), ir.Type(ir.Kind.COUNT), Span(0, 0))
    product, factor = env.evaluate(square), env.read(links)
    assert entails(env, z3.And(product >= 1, product <= 1600))
    assert entails(env, product >= 2 * factor - 1)
    assert entails(env, product <= 41 * factor - 40)
    for value in (1, 7, 40):
        assert possible(env, factor == value, product == value * value)


def test_true_quotients_are_possible() -> None:
    env = environment(levels())
    runnable = ir.FactRef("runnable", ir.Type(ir.Kind.COUNT), Span(0, 0))
    one = ir.Const(1, ir.Type(ir.Kind.COUNT), Span(0, 0))
    divisor = ir.Apply(ir.Op.MAX, (runnable, one), ir.Type(ir.Kind.COUNT), Span(0, 0))
    quotient = ir.Apply(ir.Op.DIV, (RAN, divisor), ir.Type(ir.Kind.TIME), Span(0, 0))
    term = env.evaluate(quotient)
    ran, tasks = env.read(RAN), env.read(runnable)
    for above, below in ((0, 0), (7, 2), (10**9, 1), (10**9 + 1, 1 << 22)):
        assert possible(env, ran == above, tasks == below, term == above // max(below, 1))
    assert entails(env, term <= ran)


def test_an_event_changes_what_is_read() -> None:
    twice = "on tick { task.x += 1ms\n task.x += 1ms when task.x > 5ms }"
    env = environment(levels(f"state task.x : time in 0ms..9ms = 4ms\n{twice}"))
    ref = ir.StateRef("task", "x", ir.Type(ir.Kind.TIME), Span(0, 0))
    before = env.read(ref)
    env.run(env.policy.events["tick"])
    after = env.read(ref)
    assert entails(env, after <= 9_000_000)
    assert entails(env, z3.Implies(before == 9_000_000, after == 9_000_000))
    assert entails(env, z3.Implies(before == 4_000_000, after == 5_000_000))
    assert entails(env, z3.Implies(before == 4_500_000, after == 6_500_000))


def test_two_tasks_in_one_query() -> None:
    policy = written(levels())
    i, j = (Environment(policy, declared(policy), prefix) for prefix in ("i.", "j."))
    assert not i.read(WEIGHT).eq(j.read(WEIGHT))
    assert set(i.shown) == {"i.weight"}


def test_queues_on_one_clock_read_the_same_one() -> None:
    policy = shipped("cells")
    env = Environment(policy, declared(policy))
    own, cell = (
        env.read(ir.QueueFact("clock", name, ir.Type(ir.Kind.VTIME, "all"), Span(0, 0)))
        for name in ("own", "cell")
    )
    assert own.eq(cell)
