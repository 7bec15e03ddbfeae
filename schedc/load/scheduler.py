"""One scheduler in the kernel, through libbpf: prepared, attached, looked at, taken away.

Input: a plan that was verified. Output: `Scheduler`. Invariant: `attach` returns only if the kernel
says that this very scheduler is enabled (libbpf, and bpftool all the more, report successes that
are none); once the process ends, however it ends, the kernel's own scheduler is back.
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

from schedc.load import kernel
from schedc.load.apply import apply
from schedc.load.btf import kernel_btf
from schedc.load.counters import Exit, read_counters, read_exit, read_programs, waits
from schedc.load.errors import (
    CANNOT_LOAD,
    NOT_ENABLED,
    OTHER_SCHEDULER,
    REFUSED,
    LoadError,
)
from schedc.load.libbpf import STRUCT_OPS, Link, Map, Object, Refusal
from schedc.load.library import words
from schedc.load.plan import Plan
from schedc.load.privileges import must_run_first
from schedc.load.settings import read_settings

ATTACH_S = 5.0
DETACH_S = 10.0
OLDEST_FLAGS = 0x7F
"""All flags of 6.16, the oldest kernel that is supported."""
EBUSY = 16


class Scheduler:
    """The life of a scheduler, stage by stage: make it, `attach`, `detach`."""

    def __init__(self, plan: Plan, messages: int | None = None) -> None:
        """Open, set and verify: the kernel has the programs, and nothing runs yet. `messages`: an
        open /dev/kmsg."""
        self._plan = plan
        self._link: Link | None = None
        self._messages = kernel.Messages(messages)
        self.enable_seq = 0
        self._object = Object(plan.object)
        try:
            self._ops = self._ops_map()
            self.name = self._ops_name()
            self._mask_flags()
            self.unresolved = apply(
                self._object.constants(), read_settings(plan.settings), self._object.lib.cpus()
            )
            self._load()
        except BaseException:
            self._object.close()
            raise

    def _load(self) -> None:
        try:
            self._object.load()
        except Refusal as refusal:
            said = self._messages.read()
            if broken := kernel.malformed_btf((*refusal.notes, *said)):
                raise broken from refusal
            by_verifier = refusal.message.startswith("the verifier")
            raise LoadError(
                REFUSED if by_verifier else CANNOT_LOAD, refusal.message,
                notes=(*refusal.notes, *said)[-12:],
                help="`schedc vm check` tries the policy on this release of the kernel",
            ) from refusal  # fmt: skip

    # --- the object's struct sched_ext_ops

    def _ops_map(self) -> Map:
        found = [one for one in self._object.maps if one.type == STRUCT_OPS]
        if len(found) != 1:
            raise LoadError(CANNOT_LOAD, "the object is no scheduler: it has no sched_ext_ops")
        return found[0]

    def _member(self, name: str) -> tuple[ctypes.Array[ctypes.c_char], int] | None:
        """The initial value, and where a member lies in it."""
        data, btf = self._ops.initial(), self._object.btf
        offset = btf.member("sched_ext_ops", name) if btf else -1
        return (data, offset) if data is not None and 0 <= offset < len(data) else None

    def _ops_name(self) -> str:
        if (place := self._member("name")) is None:
            return ""
        data, offset = place
        return data.raw[offset:].partition(b"\0")[0].decode("utf-8", "replace")[:128]

    def _mask_flags(self) -> None:
        """A flag that this kernel doesn't know would make it refuse the scheduler."""
        if (place := self._member("flags")) is None:
            return
        data, offset = place
        wanted = int.from_bytes(data.raw[offset : offset + 8], "little")
        known = OLDEST_FLAGS
        if wanted & ~known and (types := kernel_btf()):
            for value in types.values("scx_ops_flags").values():
                known |= value
        ctypes.c_uint64.from_buffer(data, offset).value = wanted & known

    # --- attached

    def attach(self) -> None:
        """Make it the kernel's scheduler, and see that it is."""
        must_run_first()
        before = kernel.enable_seq()
        lib = self._object.lib
        pointer = lib.call("bpf_map__attach_struct_ops", self._ops.pointer)
        if not pointer:
            raise self._not_attached(ctypes.get_errno())
        self._link = Link(lib, pointer)
        end = time.monotonic() + ATTACH_S
        while time.monotonic() < end and not self._enabled_since(before):
            if self.exit() is not None:
                break
            time.sleep(kernel.POLL_S)
        self.enable_seq = kernel.enable_seq()
        # One that was enabled counts as attached, however soon it was thrown out again: that is
        # an ejection, and told as one.
        if self.enable_seq == before:
            raise self._not_enabled()

    def _enabled_since(self, before: int) -> bool:
        now = kernel.read_current()
        return (now.state, now.ops) == (kernel.ENABLED, self.name) and now.enable_seq > before

    def _not_attached(self, error: int) -> LoadError:
        if error == EBUSY:
            name = kernel.read_current().ops[:64]
            return LoadError(
                OTHER_SCHEDULER, f"another scheduler is loaded: {name}",
                help="stop the program that loaded it, or press SysRq-S",
            )  # fmt: skip
        kernel.wait_for(kernel.DISABLED, ATTACH_S)
        ended = self.exit()
        said = f": {ended.words()[:400]}" if ended else ""
        return LoadError(
            CANNOT_LOAD, f"the kernel did not attach the scheduler ({words(error)}){said}",
            notes=(*self._object.lib.said(), *self._messages.read())[-8:],
        )

    def _not_enabled(self) -> LoadError:
        now, ended = kernel.read_current(), self.exit()
        said = f"; it says: {ended.words()[:400]}" if ended else ""
        self.close()
        return LoadError(
            NOT_ENABLED, "attached, but the kernel did not enable the scheduler" + said,
            notes=(f"state: {now.state}; scheduler: {now.ops[:64] or 'none'}",
                   *self._messages.read())[:8],
            help="run `schedc vm check` on the policy; if it works there, look at the kernel's log",
        )  # fmt: skip

    def is_current(self) -> bool:
        now = kernel.read_current()
        return (now.state, now.ops, now.enable_seq) == (
            kernel.ENABLED, self.name, self.enable_seq,
        )  # fmt: skip

    def exit(self) -> Exit | None:
        return read_exit(self._object)

    def facts(self) -> dict[str, Any]:
        """Counters, waits and programs, for `status`."""
        counters = read_counters(
            self._object, self._plan.policy.classes, self._plan.policy.queues
        )
        return {"counters": counters, "waits": waits(counters["classes"]),
                "programs": read_programs(self._object)}  # fmt: skip

    def departed(self) -> tuple[Exit | None, tuple[str, ...]]:
        """Why the kernel threw it out, once it has finished doing so."""
        kernel.wait_for(kernel.DISABLED, DETACH_S)
        ended = self.exit()
        self.close()
        return ended, self._messages.read()

    def detach(self) -> tuple[bool, Exit | None]:
        """Take it away; whether the kernel's own is back, and what it said at the end."""
        if self._link is not None:
            self._link.destroy()
        back = kernel.wait_for(kernel.DISABLED, DETACH_S)
        return back, self.exit()

    def close(self) -> None:
        if self._link is not None:
            self._link.destroy()
        self._object.close()
