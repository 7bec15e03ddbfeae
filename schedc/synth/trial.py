"""The winner on a real kernel, in the virtual machine.

Input: a policy's text, a goal, a workload. Output: a `Tried`: confirmed if the goal's first metric
is better than under the kernel's own scheduler beyond noise, contradicted if it is worse, else
undecided; void if the scheduler did not stay. Invariant: the workload is the same file with the
same settings; only the machine is smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schedc.diagnostics.model import Diagnostic
from schedc.pipeline import analyze, generate
from schedc.source import Source
from schedc.synth.evaluate import settings as settings_of
from schedc.synth.goal import Goal
from schedc.synth.messages import Ratio, Tried
from schedc.toolchain import compile_c, find_compiler
from schedc.vm.errors import VmError
from schedc.vm.loadable import Policy
from schedc.vm.run import Options, Watch, run_workload
from schedc.workload.model import Setting, Workload

_WORDS = {
    "better": "better", "worse": "worse", "no difference beyond noise": "same",
    "too few runs": "unknown",
}  # fmt: skip


def try_on_kernel(
    text: str, goal: Goal, workload: Workload, settings: Mapping[str, Setting], *,
    kernel: str = "latest", runs: int = 6, cpus: int = 2,
    progress: Callable[[str, float | None], None] = lambda what, fraction: None,
) -> Tried:  # fmt: skip
    """Interleaved runs beside the kernel's own scheduler."""
    where = f"vm {kernel}, {cpus} cpus"
    try:
        policy = _compiled(text)
        report = run_workload(
            policy, None, workload, settings, Options(kernel=kernel, cpus=cpus, pairs=runs),
            watch=Watch(progress=progress),
        )
    except VmError as failure:
        return Tried(where, "void", (), f"{failure.code}: {failure.message}")
    where = f"{report.kernel}, {cpus} cpus"
    if report.scheduler_failed:
        void = next(run.outcome.void for run in report.void_runs if run.outcome.void)
        return Tried(where, "void", (), f"{void.code}: {void.reason}")
    ratios = tuple(
        Ratio(one.metric, one.policy.median, one.base.median, one.ratio.median, one.ratio.low,
              one.ratio.high, _WORDS[one.finding.value])
        for one in report.comparisons
        if one.policy is not None and one.base is not None and one.ratio is not None
    )  # fmt: skip
    return Tried(where, *_verdict(goal, ratios))


def _verdict(goal: Goal, ratios: tuple[Ratio, ...]) -> tuple[str, tuple[Ratio, ...], str]:
    metric = goal.objectives[0].metric
    found = next((one for one in ratios if one.metric == metric), None)
    if found is None:
        return "undecided", ratios, f"{metric} is not measured there"
    verdict = {"better": "confirmed", "worse": "contradicted"}.get(found.finding, "undecided")
    return verdict, ratios, (
        f"{metric} {found.ratio:.2f} [{found.low:.2f}..{found.high:.2f}] of the default's"
    )


def _compiled(text: str) -> Policy:
    source = Source.from_text("best.sched", text)
    analysis = analyze(source)
    policy = analysis.policy
    assert policy is not None, "only a proved policy is tried"
    c_text = generate(policy, source, sources=analysis.sources)
    compiler = find_compiler()
    if isinstance(compiler, Diagnostic):
        raise VmError(compiler.code, compiler.message, help=compiler.help)
    done = compile_c(c_text, compiler, source=source, bases=analysis.sources)
    if done.object is None:
        raise VmError("E0702", done.diagnostics[0].message)
    return Policy(
        policy.name, done.object, settings_of(analysis, {}).text(),
        tuple(one.name for one in policy.classes), tuple(one.name for one in policy.queues),
        source, c_text,
    )  # fmt: skip
