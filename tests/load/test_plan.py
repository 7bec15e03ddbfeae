"""A plan is taken as it was made, on the machine that it was made on, and never otherwise."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from schedc.load import plan as plans
from schedc.load.errors import (
    BAD_CERTIFICATE,
    BAD_PLAN,
    BAD_SETTING,
    EXPIRED,
    OTHER_KERNEL,
    QUARANTINED,
    STALE,
    UNPROVEN,
    LoadError,
)
from schedc.load.plan import Current, Kernel, Plan, parse, verify
from schedc.prove.certificate import identity
from tests.load.forge import claim, forge, marked_elf, reseal, sealed
from tests.load.samples import CURRENT, KERNEL, MADE, plan, proved

NOW = MADE + 60.0


def judged(one: Plan, **now: Any) -> str:
    """The code that `verify` refuses it with; empty if it doesn't."""
    facts: dict[str, Any] = {"now": NOW, "kernel": KERNEL, "current": CURRENT, **now}
    try:
        verify(one, **facts)
    except LoadError as refused:
        return refused.code
    return ""


def resealed(values: dict[str, Any]) -> Plan:
    """A plan with these contents and the hash to match: what somebody with an editor and a minute
    can make."""
    values = {key: value for key, value in values.items() if key != "sha256"}
    values["sha256"] = plans._digest(values)
    return parse(json.dumps(values))


def test_as_it_was_made() -> None:
    one = plan()
    assert judged(one) == ""
    assert parse(one.text()) == one
    assert parse(one.as_json()).sha256 == one.sha256
    assert one.policy.classes == ("everyone",) and one.bounds[0].wait_ms == 17000.0


@pytest.mark.parametrize(("code", "now"), [
    (EXPIRED, {"now": MADE + 3600.0}),
    (EXPIRED, {"now": MADE - 3600.0}),
    (OTHER_KERNEL, {"kernel": replace(KERNEL, boot_id="another")}),
    (OTHER_KERNEL, {"kernel": Kernel("6.19", KERNEL.boot_id)}),
    (STALE, {"current": replace(CURRENT, enable_seq=4)}),
    (STALE, {"current": Current("enabled", "lavd", 3, None)}),
    (STALE, {"current": replace(CURRENT, object="0" * 64)}),
    (QUARANTINED, {"quarantined": [plan().policy.source_sha256]}),
])  # fmt: skip
def test_another_time_or_place(code: str, now: dict[str, Any]) -> None:
    assert judged(plan(), **now) == code


@pytest.mark.parametrize(("now", "says"), [
    (MADE + 7200.0, "the plan expired 3600 s ago"),
    (MADE - 3600.0, "the plan was made 3600 s in the future"),
])  # fmt: skip
def test_both_clocks_are_told(now: float, says: str) -> None:
    """A plan of another time may be a clock that is wrong."""
    def utc(at: float) -> str:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    with pytest.raises(LoadError, match=says) as refused:
        verify(plan(), now=now, kernel=KERNEL, current=CURRENT)
    assert f"this machine's clock says {utc(now)}; the plan was made at {utc(MADE)}" in (
        refused.value.notes[0]
    )


def test_too_long_a_life() -> None:
    with pytest.raises(LoadError, match="longer than a plan may be") as refused:
        verify(replace(plan(), expires=MADE + 8 * 86400), now=NOW, kernel=KERNEL, current=CURRENT)
    assert refused.value.code == EXPIRED


def paths(values: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where each plain value of a JSON value is."""
    if isinstance(values, dict):
        return [p for key, one in values.items() for p in paths(one, (*at, key))]
    if isinstance(values, list):
        return [p for i, one in enumerate(values) for p in paths(one, (*at, i))]
    return [at]


ALL = paths(plan().as_json())
# What a person may say otherwise without harm: who made the plan.
FREE = {("by",)}


def put(values: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(values))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return copy


@given(path=st.sampled_from(ALL), data=st.data())
@settings(max_examples=200, deadline=None)
def test_every_field_changed(path: tuple[Any, ...], data: st.DataObject) -> None:
    """With the old hash it is altered; with a hash to match, something else doesn't fit."""
    values = plan().as_json()
    old: Any = values
    for step in path:
        old = old[step]
    new = data.draw(st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=80),
        st.floats(), st.lists(st.integers(), max_size=3),
        st.just(old + "x") if isinstance(old, str) else st.just(None),
        st.just(old + 1) if isinstance(old, int | float) else st.just("0" * 64),
    ).filter(lambda value: value != old))  # fmt: skip
    changed = put(values, path, new)
    with pytest.raises(LoadError) as altered:
        parse(json.dumps(changed))
    assert altered.value.code == BAD_PLAN
    if path == ("sha256",):
        return
    try:
        one = resealed(changed)
    except LoadError as refused:
        assert refused.code == BAD_PLAN
        return
    except ValueError:
        assert isinstance(new, float)  # NaN isn't JSON at all
        return
    harmless = path in FREE or within(path, new)
    assert (judged(one) == "") == harmless


def within(path: tuple[Any, ...], new: Any) -> bool:
    """Changes that make another plan that is good, too: its times, and settings that are proved."""
    match path:
        case ("made",):
            return isinstance(new, int) and new <= NOW + 5 and MADE + 3600 - new <= 7 * 86400
        case ("expires",):
            return isinstance(new, int) and NOW < new <= MADE + 7 * 86400
        case ("settings",):
            return not any(line and not line.startswith("#") for line in new.split("\n"))
        case _:
            return False


def test_an_object_that_was_exchanged() -> None:
    other, _ = proved("other")
    values = plan().as_json()
    values["object"] = {"base64": base64.b64encode(other).decode(),
                        "sha256": hashlib.sha256(other).hexdigest()}  # fmt: skip
    assert judged(resealed(values)) == BAD_CERTIFICATE
    values["certificate"] = proved("other")[1]  # another policy under this one's name
    assert judged(resealed(values)) == BAD_CERTIFICATE


def test_without_a_proof() -> None:
    data, certificate = proved()
    unproven = marked_elf("unproven")
    with pytest.raises(LoadError) as refused:
        plans.make(unproven, certificate, kernel=KERNEL, current=CURRENT, made=1, expires=2, by="")
    assert refused.value.code == UNPROVEN
    refuted = reseal(certificate, verdict="refuted")
    with pytest.raises(LoadError) as refused:
        plans.make(data, refuted, kernel=KERNEL, current=CURRENT, made=1, expires=2, by="")
    assert refused.value.code == UNPROVEN
    values = {**plan().as_json(), "proof": {"verdict": "unproven", "bounds": []}}
    assert judged(resealed(values)) == UNPROVEN


def test_an_object_with_no_mark_or_anothers() -> None:
    certificate = proved()[1]
    for data in (b"", b"\x7fELF", marked_elf("proof " + "0" * 64)):
        with pytest.raises(LoadError) as refused:
            plans.make(data, certificate, kernel=KERNEL, current=CURRENT, made=1, expires=2, by="")
        assert refused.value.code == BAD_CERTIFICATE


@pytest.mark.parametrize("line", [
    "set tune_slice 999999", "set tune_slice 20000001", "set tune_other 1", "set counters 2",
    "set nr_llcs 1", "set cpu_llc 0", "set has_smt 0", "cgroup 0 ../../etc", "exe 0 bin/sh",
    "exe 0 /bin/sh", "cgroup 1 a", "cgroup 99 a", "nonsense", "set tune_slice 5e6", "set  x 1",
])  # fmt: skip
def test_settings_that_no_proof_is_about(line: str) -> None:
    with pytest.raises(LoadError) as refused:
        plan(settings=f"{line}\n")
    assert refused.value.code == BAD_SETTING
    values = {**plan().as_json(), "settings": f"{line}\n"}
    assert judged(resealed(values)) == BAD_SETTING


def test_settings_that_are_proved() -> None:
    for text in ("", "# nothing\n", "set tune_slice 1000000\nset counters 0\n"):
        assert judged(plan(settings=text)) == ""


def test_paths_are_those_of_the_certificate() -> None:
    def named(mark: str) -> bytes:
        return marked_elf(mark)

    data, certificate = forge("paths", named)
    body = json.loads(certificate)
    body["build"]["names"].update(cgroups=["a/b"], exes=["/usr/bin/x"])
    certificate = reseal(certificate, build=body["build"])
    facts: dict[str, Any] = {"kernel": KERNEL, "current": CURRENT, "made": MADE,
                             "expires": MADE + 10, "by": ""}  # fmt: skip
    good = "cgroup 0 a/b\nexe 0 /usr/bin/x\n"
    assert plans.make(data, certificate, settings=good, **facts).settings == good
    for wrong in ("cgroup 0 a/c\n", "exe 0 /usr/bin/y\n", "cgroup 1 a/b\n"):
        with pytest.raises(LoadError) as refused:
            plans.make(data, certificate, settings=wrong, **facts)
        assert refused.value.code == BAD_SETTING


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
@settings(max_examples=200, deadline=None)
def test_any_bytes_end_in_one_error(data: bytes | str) -> None:
    with pytest.raises(LoadError) as refused:
        parse(data)
    assert refused.value.code == BAD_PLAN


def test_deep_or_large_ones() -> None:
    for data in ("[" * 100_000, '{"a":' * 50_000, " " * (plans.MAX_PLAN + 1)):
        with pytest.raises(LoadError) as refused:
            parse(data)
        assert refused.value.code == BAD_PLAN


NAMES = {"classes": ["a"], "queues": ["b"], "cgroups": ["c"], "exes": ["/d"]}
CLAIM = {**claim("odd", "odd"), "build": {"c": "", "names": NAMES}}


@given(path=st.sampled_from(paths(CLAIM)), new=st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
), up=st.integers(0, 2))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_certificates_that_anybody_can_make(path: tuple[Any, ...], new: Any, up: int) -> None:
    """Hashes in order, contents odd: a plan of it is made, or refused with an error of ours."""
    body = put(CLAIM, path[: max(len(path) - up, 1)], new)
    try:
        data = marked_elf(f"proof {identity(body)}")
        body["build"]["object"] = hashlib.sha256(data).hexdigest()
        certificate = sealed(body)
    except (KeyError, TypeError, AttributeError):
        return
    try:
        one = plans.make(data, certificate, kernel=KERNEL, current=CURRENT, made=MADE,
                         expires=MADE + 100, by="")  # fmt: skip
        assert judged(parse(one.text())) == ""
    except LoadError as refused:
        assert refused.code in (BAD_CERTIFICATE, UNPROVEN, BAD_PLAN)


@pytest.mark.parametrize("number", ["1e999999999", "9" * 4000, "1/0", "x", "nan", 5, None])
def test_numbers_that_would_take_for_ever(number: Any) -> None:
    body = put(CLAIM, ("bounds", 0, "a_ns"), number)
    data = marked_elf(f"proof {identity(body)}")
    body["build"]["object"] = hashlib.sha256(data).hexdigest()
    with pytest.raises(LoadError) as refused:
        plans.make(data, sealed(body), kernel=KERNEL, current=CURRENT, made=1, expires=2, by="")
    assert refused.value.code == BAD_CERTIFICATE


def test_a_field_that_nobody_knows() -> None:
    with pytest.raises(LoadError, match="nobody knows"):
        resealed({**plan().as_json(), "more": 1})
