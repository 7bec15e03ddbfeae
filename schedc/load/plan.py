"""A plan: what is to be loaded, in place of what, why it may be, and until when.

Input: a JSON text (hostile until checked), or the parts to make one of. Output: `Plan`. Invariant:
`verify` believes nothing that a plan says: the hash shows a change by accident, and all else is
held against the object, the certificate that binds it, and the machine as it is now. So it doesn't
matter who wrote the plan; what it can't show is who wrote the certificate, which isn't signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Any

from schedc.load.errors import (
    BAD_CERTIFICATE,
    BAD_PLAN,
    EXPIRED,
    OTHER_KERNEL,
    QUARANTINED,
    STALE,
    LoadError,
)
from schedc.load.form import Form, Malformed
from schedc.load.proof import held_by, unproven
from schedc.load.settings import check_settings
from schedc.prove.whole import Held
from schedc.records import dataclass

FORMAT = 1
MAX_PLAN = 8 << 20
MAX_OBJECT = 4 << 20
MAX_CERTIFICATE = 2 << 20
MAX_LIFE_S = 7 * 86400
"""A plan for longer than that isn't about the machine any more."""
CLOCK_SLACK_S = 5
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Kernel:
    """Which boot of which kernel a plan was made on."""

    release: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Current:
    """What ran when the plan was made: sched_ext's state, the scheduler's name, how often one was
    enabled since boot, and the sha256 of the object if the loader had loaded it."""

    state: str
    ops: str
    enable_seq: int
    object: str | None


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy, for people. `source_sha256` is what a quarantine is about."""

    name: str
    version: str
    source_sha256: str
    classes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """How long a task of a class may wait, in ms, when `at_n` tasks contend for a cpu; `text` is
    W(N) in words."""

    cls: str
    text: str
    at_n: int
    wait_ms: float
    promise_ms: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Times are unix seconds. `settings` is the text of `schedc.vm.check.Settings`."""

    made: int
    expires: int
    by: str
    kernel: Kernel
    current: Current
    policy: Policy
    settings: str
    object: bytes = field(repr=False)
    certificate: str = field(repr=False)
    bounds: tuple[Bound, ...] = ()
    verdict: str = "proved"

    @property
    def object_sha256(self) -> str:
        return hashlib.sha256(self.object).hexdigest()

    @property
    def sha256(self) -> str:
        """Over everything else in the plan."""
        return _digest(self._body())

    def as_json(self) -> dict[str, Any]:
        """The plan's one JSON form."""
        return {**self._body(), "sha256": self.sha256}

    def text(self) -> str:
        return json.dumps(self.as_json(), indent=1, sort_keys=True) + "\n"

    def _body(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "made": self.made,
            "expires": self.expires,
            "by": self.by,
            "kernel": {"release": self.kernel.release, "boot_id": self.kernel.boot_id},
            "current": {
                "state": self.current.state, "ops": self.current.ops,
                "enable_seq": self.current.enable_seq, "object": self.current.object,
            },
            "policy": {
                "name": self.policy.name, "version": self.policy.version,
                "source_sha256": self.policy.source_sha256,
                "classes": list(self.policy.classes), "queues": list(self.policy.queues),
            },
            "settings": self.settings,
            "object": {
                "sha256": self.object_sha256,
                "base64": base64.b64encode(self.object).decode("ascii"),
            },
            "certificate": self.certificate,
            "proof": {
                "verdict": self.verdict,
                "bounds": [
                    {"class": one.cls, "text": one.text, "at_n": one.at_n,
                     "wait_ms": one.wait_ms, "promise_ms": one.promise_ms}
                    for one in self.bounds
                ],
            },
        }  # fmt: skip


def make(
    data: bytes,
    certificate: str,
    *,
    kernel: Kernel,
    current: Current,
    made: int,
    expires: int,
    by: str,
    settings: str = "",
) -> Plan:
    """A plan for an object and its certificate; refuses what no loader would take."""
    held = held_by(data, certificate)
    plan = Plan(
        made, expires, by, kernel, current, _policy(held), settings, data, certificate,
        _bounds(held),
    )  # fmt: skip
    _check_settings(settings, held)
    return plan


# --- reading one


def parse(data: bytes | str | Mapping[str, Any]) -> Plan:
    """The plan in a JSON text or value, if its form and its hash are right (E0835)."""
    if isinstance(data, bytes | str) and len(data) > MAX_PLAN:
        raise _bad(f"it is larger than {MAX_PLAN >> 20} MiB")
    try:
        values = json.loads(data) if isinstance(data, bytes | str) else data
        plan = _decode(Form(values, "the plan"))
    except Malformed as wrong:
        raise _bad(str(wrong)) from wrong
    except (ValueError, RecursionError) as wrong:
        raise _bad("it is not JSON") from wrong
    if _digest({k: v for k, v in values.items() if k != "sha256"}) != values["sha256"]:
        raise LoadError(
            BAD_PLAN, "the plan was changed since it was made",
            notes=("its sha256 is not that of its contents",), help="make it again: `schedc plan`",
        )  # fmt: skip
    return plan


def _decode(form: Form) -> Plan:
    if form.number("format", 0, 1 << 31) != FORMAT:
        raise Malformed(f"its format is not {FORMAT}")
    kernel, current, policy = form.part("kernel"), form.part("current"), form.part("policy")
    object_, proof = form.part("object"), form.part("proof")
    try:
        data = base64.b64decode(object_.text("base64", MAX_OBJECT * 4 // 3 + 4), validate=True)
    except binascii.Error as wrong:
        raise Malformed("its object is not in base64") from wrong
    plan = Plan(
        made=form.number("made", 0, 1 << 40),
        expires=form.number("expires", 0, 1 << 40),
        by=form.text("by", 200),
        kernel=Kernel(kernel.text("release", 200), kernel.text("boot_id", 64)),
        current=Current(
            current.text("state", 32), current.text("ops", 128),
            current.number("enable_seq", 0, 1 << 62), current.hash_or_none("object"),
        ),
        policy=Policy(
            policy.text("name", 128), policy.text("version", 64), policy.hash("source_sha256"),
            policy.names("classes"), policy.names("queues"),
        ),
        settings=form.text("settings", 64 << 10),
        object=data,
        certificate=form.text("certificate", MAX_CERTIFICATE),
        bounds=tuple(_decode_bound(one) for one in proof.parts("bounds", 64)),
        verdict=proof.text("verdict", 32),
    )  # fmt: skip
    if object_.hash("sha256") != plan.object_sha256:
        raise Malformed("its object has another sha256 than it says")
    form.hash("sha256")
    for part in (form, kernel, current, policy, object_, proof):
        part.nothing_else()
    return plan


def _decode_bound(form: Form) -> Bound:
    bound = Bound(
        form.text("class", 128), form.text("text", 200), form.number("at_n", 1, 1 << 31),
        form.real("wait_ms"), form.real("promise_ms"),
    )  # fmt: skip
    form.nothing_else()
    return bound


def _bad(why: str) -> LoadError:
    return LoadError(
        BAD_PLAN, f"that is no plan: {why}", help="make one: `schedc plan POLICY.sched -o PLAN`"
    )


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


# --- believing it


def verify(
    plan: Plan,
    *,
    now: float,
    kernel: Kernel,
    current: Current,
    quarantined: Collection[str] = (),
) -> None:
    """Raises a `LoadError` unless the plan may be carried out now, here. The order is from what
    can't be helped to what a new plan mends."""
    verify_proof(plan)
    if plan.policy.source_sha256 in quarantined:
        raise LoadError(
            QUARANTINED, f"the policy {plan.policy.name} is quarantined",
            notes=("it was aborted or ejected twice; `schedc history` says why",),
            help=f"schedc quarantine clear {plan.policy.source_sha256[:16]}",
        )  # fmt: skip
    _verify_time(plan, now)
    if plan.kernel != kernel:
        what = "boot" if plan.kernel.release == kernel.release else "kernel"
        raise LoadError(
            OTHER_KERNEL, f"the plan was made on another {what}",
            notes=(f"it says {plan.kernel.release[:80]}, this is {kernel.release}",),
            help="make it again: `schedc plan`",
        )  # fmt: skip
    if plan.current != current:
        raise LoadError(
            STALE, "another scheduler runs than when the plan was made",
            notes=(f"then: {_shown(plan.current)}", f"now: {_shown(current)}"),
            help="make it again: `schedc plan`",
        )  # fmt: skip


def _verify_time(plan: Plan, now: float) -> None:
    """A clock that was set shows here as well, so both of them are told."""
    again = "make it again: `schedc plan`"
    clock = f"this machine's clock says {_utc(now)}; the plan was made at {_utc(plan.made)}"
    if plan.made > now + CLOCK_SLACK_S:
        raise LoadError(
            EXPIRED, f"the plan was made {plan.made - now:.0f} s in the future", notes=(clock,),
            help="set this machine's clock if it is wrong; else make the plan again: `schedc plan`",
        )  # fmt: skip
    if plan.expires <= now:
        clock += f" and expired at {_utc(plan.expires)}"
        ago = int(now - plan.expires)
        raise LoadError(EXPIRED, f"the plan expired {ago} s ago", notes=(clock,), help=again)
    if plan.expires - plan.made > MAX_LIFE_S:
        raise LoadError(
            EXPIRED, "the plan is good for longer than a plan may be",
            notes=(f"that is {MAX_LIFE_S // 86400} days at most",), help=again,
        )  # fmt: skip


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _shown(current: Current) -> str:
    name = f" ({current.ops[:40]})" if current.ops else ""
    return f"{current.state[:20]}{name}, {current.enable_seq} times enabled"


def verify_proof(plan: Plan) -> None:
    """The object is proved, by this certificate, and what the plan says of it is what the
    certificate says (E0836, E0837, E0842). Holds on every machine and at any time."""
    if plan.verdict != "proved":
        raise unproven(f"the plan's verdict is `{plan.verdict[:32]}`")
    held = held_by(plan.object, plan.certificate)
    if plan.policy != _policy(held) or plan.bounds != _bounds(held):
        raise LoadError(
            BAD_CERTIFICATE, "the plan says another thing of the policy than its certificate",
            help="make it again: `schedc plan`",
        )  # fmt: skip
    _check_settings(plan.settings, held)


def _check_settings(text: str, held: Held) -> None:
    check_settings(text, held.body["parameters"]["tunes"], held.body["build"].get("names"))


def _policy(held: Held) -> Policy:
    """What the certificate calls the policy. One that extends others is its own text and theirs
    together."""
    policy, names = held.body["policy"], held.body["build"].get("names", {})
    sources = policy["sources"]
    own = sources[""] if set(sources) == {""} else _digest(sources)
    return Policy(
        str(policy["name"]), str(policy["version"]), str(own), tuple(names.get("classes", ())),
        tuple(names.get("queues", ())),
    )  # fmt: skip


def _bounds(held: Held) -> tuple[Bound, ...]:
    runnable = int(held.body["runnable"])
    return tuple(
        Bound(
            str(one["class"]), _formula(one["a_ns"], one["b_ns"]), runnable,
            round(wait / NS_PER_MS, 3), round(one["promise_ns"] / NS_PER_MS, 3),
        )
        for one, wait in zip(held.body["bounds"], held.waits, strict=True)
    )  # fmt: skip


def _formula(a: str, b: str) -> str:
    from fractions import Fraction

    return f"{float(Fraction(a)) / NS_PER_MS:.4g} ms + {float(Fraction(b)) / NS_PER_MS:.4g} ms N"


def renewed(plan: Plan, kernel: Kernel, current: Current) -> Plan:
    """The same plan as if made on this boot: how a confirmed policy comes back."""
    return replace(plan, kernel=kernel, current=current)
