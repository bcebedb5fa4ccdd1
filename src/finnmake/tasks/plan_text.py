"""The text of `doit plan`: each configuration with its steps, and what that comes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from finnmake.engine.explain_flow import RUN, STORE, UNKNOWN
from finnmake.exploration.drawing import counted
from finnmake.tasks.planning import Plan, Planned, PlannedStep

#: So many configurations are told, unless all are asked for.
_SHOWN = 10

#: Width of the names of steps.
_NAMES = 44


def plan_text(plan: Plan, everything: bool) -> str:
    """What would run and what would come from the store.

    Args:
        everything: whether all configurations are told, and every step by its name.
    """
    if not plan.planned:
        return "nothing to do: everything is up to date\n"
    shown = plan.planned if everything else plan.planned[:_SHOWN]
    lines = [line for each in shown for line in (*_planned(each, everything), "")]
    if len(plan.planned) > len(shown):
        lines += [f"and {len(plan.planned) - len(shown):,} more (--all shows them)", ""]
    return "".join(f"{line}\n" for line in (*lines, *_summary(plan)))


def _planned(each: Planned, everything: bool) -> Iterator[str]:
    yield f"{each.name}  {_tasks(each)}"
    if each.problem:
        yield from (f"  {line}" for line in f"cannot be built: {each.problem}".splitlines())
    runs = groupby(each.steps, lambda step: (step.how, step.after, step.shared))
    for (how, after, shared), group in runs:
        steps = list(group)
        for few in [[step] for step in steps] if everything or how == RUN else [steps]:
            fate = f"{_fate(how, after, shared):<14}{_seconds(few, how, shared)}"
            yield f"  {_names(few):<{_NAMES}}  {fate}".rstrip()


def _tasks(each: Planned) -> str:
    stale = f"to do: {_groups(each.stale)}" if each.stale else ""
    follows = f"if that changes anything: {_groups(each.follows)}" if each.follows else ""
    return "; ".join(part for part in (stale, follows) if part)


def _groups(names: Sequence[str]) -> str:
    return ", ".join(name.partition(":")[0] for name in names)


def _names(steps: Sequence[PlannedStep]) -> str:
    if len(steps) == 1:
        return steps[0].name
    return f"{steps[0].name} … {steps[-1].name} ({len(steps)} steps)"


def _fate(how: str, after: str, shared: bool) -> str:
    if how == RUN:
        return "shared" if shared else RUN
    if how == UNKNOWN:
        return f"unknown until {after} has run" if not shared else f"shared, unknown until {after} has run"
    return how


def _seconds(steps: Sequence[PlannedStep], how: str, shared: bool) -> str:
    known = [step.seconds for step in steps if step.seconds is not None]
    if how == STORE or shared:
        return ""
    return f"  {duration(sum(known))}" if len(known) == len(steps) else "  time not known"


def _summary(plan: Plan) -> Iterator[str]:
    mark = " (simulated)" if plan.simulated else ""
    configs = [each for each in plan.planned if not each.name.startswith("segment:")]
    total = len(configs) + plan.up_to_date
    yield f"{len(configs):,} of {counted(total, 'configuration')} not up to date{mark}"
    run, likely, store = (len(plan.steps(how)) for how in (RUN, UNKNOWN, STORE))
    verb, come = "runs" if run == 1 else "run", "comes" if store == 1 else "come"
    yield f"{counted(run, 'step')} {verb}, {store:,} {come} from the store{_likely(likely)}{mark}"
    if run or likely:
        yield f"{_time(plan)}{mark}"


def _likely(count: int) -> str:
    """Steps behind one that runs: by early cutoff they need not."""
    verb = "runs" if count == 1 else "run"
    return f", {count:,} more {verb} where what is before leaves something new" if count else ""


def _time(plan: Plan) -> str:
    """What earlier runs tell of the time."""
    run, more = plan.seconds(RUN), plan.seconds(UNKNOWN)
    unknown, steps = plan.without_seconds, len(plan.steps(RUN)) + len(plan.steps(UNKNOWN))
    if unknown == steps:
        return "no time is known: none of these steps has run before"
    most = f" to {duration(run + more)}" if more else ""
    lacking = f", and what {counted(unknown, 'step')} that never ran before will take" if unknown else ""
    return f"time of steps, as in earlier runs: {duration(run)}{most}{lacking}"


def duration(seconds: float) -> str:
    """A time in words: `0.02 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
