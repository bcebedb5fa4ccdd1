"""The task groups: from ONNX model to processed model to FINN's outputs to metrics, analyses and report."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile, TaskFailed

from finnmake.engine.folders import remove_tree
from finnmake.errors import FinnmakeError, from_os_error
from finnmake.exploration.tree import Segment, estimates_at
from finnmake.hashing import digest_value
from finnmake.records import BuildConfig
from finnmake.runner.outputs import write_json
from finnmake.tasks.checker import ContentChecker
from finnmake.tasks.fresh import RECORD, is_fresh, record
from finnmake.tasks.site import Site
from finnmake.tasks.sources import modules_digest
from finnmake.tasks.workspace import Workspace, workspace

#: doit's own settings, taken over by dodo.py.
DOIT_CONFIG = {
    "default_tasks": ["build"],
    "backend": "finnmake",
    "reporter": "finnmake",
    "check_file_uptodate": ContentChecker,
    "par_type": "thread",
    "continue": True,
    "verbosity": 2,
}

Task = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """What an action tells: what its steps did, the files that it left, and whether all of it went well."""

    reads: list[Mapping[str, Any]]
    outputs: Iterable[Path]
    whole: bool = True


def task_preprocess() -> Iterator[Task]:
    """apply the pre_proc transforms to the model"""
    ws = workspace()
    for site in ws.sites:
        names = ("model.onnx", "processed_model.onnx")

        def action(site: Site = site, names: tuple[str, ...] = names) -> Made:
            return Made(ws.runner.preprocess(site.config), site.paths(names))

        yield _engine_task(ws, site, action, [site.model, *site.sources], site.files(names))


def task_segment() -> Iterator[Task]:
    """run the steps that several configurations share"""
    ws = workspace()
    for segment in ws.segments:
        site = ws.site(ws.leader(segment))
        target = ws.folder / "segments" / f"{segment.id}.json"

        def action(site: Site, segment: Segment = segment, target: Path = target) -> Made:
            ws.hooks.before_segment(segment)
            done, error = ws.runner.segment(site.config, ws.tree.depth(segment.id))
            keys = [outcome.key for outcome in done.outcomes] if done else []
            mark = {"simulated": True} if ws.backend.simulated else {}
            write_json(target, {**_described(segment), "action_keys": keys, **mark})
            ws.hooks.after_segment(segment, error)
            return Made(done.reads if done else [], [target], done is not None)

        content = digest_value("task", _described(segment))

        def run(task: Any, segment: Segment = segment, action: Any = action, content: str = content) -> Any:
            site = ws.site(ws.leader(segment))  # only now it is known whom estimates have ruled out
            return _guarded(ws, site.config, task.name, lambda: _record(ws, content, task, action(site)))

        task = _task(ws, site, run, [site.model, *site.sources], [str(target)], content)
        above = [f"segment:{segment.parent_id}"] if segment.parent_id else []
        doc = f"{len(segment.steps)} steps on the way of {len(segment.config_ids)} configurations"
        yield {**task, "name": segment.id, "task_dep": above, "doc": doc}


def task_estimate() -> Iterator[Task]:
    """make the estimates of a configuration that goes on beyond them"""
    ws = workspace()
    for site in ws.sites:
        depth = estimates_at(site.config)
        if depth is None:
            continue
        names = ("estimate.json",)

        def action(site: Site = site, depth: int = depth, names: tuple[str, ...] = names) -> Made:
            reads = ws.runner.estimate(site.config, depth).reads
            ws.estimated.add(site.config.id)
            return Made(reads, site.paths(names))

        files = [site.file("processed_model.onnx"), *site.sources]
        task = _engine_task(ws, site, action, files, site.files(names))
        above = ws.tree.last_within(site.config.id, depth)
        yield {**task, "task_dep": [f"segment:{above}"] if above else []}


def task_finn() -> Iterator[Task]:
    """run FINN: reports, final model, manifest"""
    ws = workspace()
    for site in ws.sites:
        names = ("config.json", "final_model.onnx", "manifest.json", "build.log")

        def action(site: Site = site, names: tuple[str, ...] = names) -> Made:
            done = ws.runner.build(site.config)
            artifacts = [site.folder / "artifacts" / name for name in done.placed]
            return Made(done.reads, [*site.paths(names), *artifacts, *ws.runner.build_folders(done)])

        files = [site.file("processed_model.onnx"), *site.sources]
        task = _engine_task(ws, site, action, files, site.files(names))
        yield {**task, "task_dep": [f"segment:{ws.tree.leaves[site.config.id]}"]}


def task_metrics() -> Iterator[Task]:
    """read FINN's reports into metrics.json"""
    ws = workspace()
    for site in ws.sites:
        files = site.files(("manifest.json", "config.json"))
        yield _plain_task(ws, site, ws.collect_metrics, files, ("metrics.json",), site.content)


def task_analyze() -> Iterator[Task]:
    """run the post_proc analyses of the finished build"""
    ws = workspace()
    for site in ws.sites:

        def action(site: Site = site) -> Made:
            done = ws.runner.analyze(site.config)
            return Made(done.reads, (site.folder / "postprocessing").glob("*.json"), done.whole)

        files = [*site.files(("manifest.json", "metrics.json")), *site.sources]
        yield _engine_task(ws, site, action, files, site.files(("postprocessing/warnings.json",)))


def task_report() -> Iterator[Task]:
    """write report.html from the JSON files"""
    ws = workspace()
    template = str(ws.root / "templates" / "report.html.j2")
    modules = modules_digest("report", ws.digests)
    names = ("manifest.json", "metrics.json", "config.json", "postprocessing/warnings.json")
    for site in ws.sites:
        files = [template, *site.files(names)]
        content = digest_value("task", [site.content, modules])
        yield _plain_task(ws, site, ws.report, files, ("report.html",), content)


def task_build() -> Iterator[Task]:
    """build a configuration, all the way to its report"""
    ws = workspace()
    names = ("manifest.json", "metrics.json", "postprocessing/warnings.json", "report.html")

    def finish(config: BuildConfig) -> list[Mapping[str, Any]]:
        return [*ws.finish(config), ws.runner.read_of_analyses(config)]

    for site in ws.sites:
        task = _plain_task(ws, site, finish, site.files(names), ("result.json",), site.content)
        yield {**task, "clean": [(remove_tree, [site.folder])]}


def _engine_task(
    ws: Workspace,
    site: Site,
    action: Callable[[], Made],
    files: Iterable[str],
    targets: Iterable[str],
) -> Task:
    """A task whose action runs steps: fresh while everything that they read is the same."""

    def run(task: Any) -> Any:
        return _guarded(ws, site.config, task.name, lambda: _record(ws, site.content, task, action()))

    return _task(ws, site, run, files, targets, site.content)


def _plain_task(
    ws: Workspace,
    site: Site,
    action: Callable[[BuildConfig], Iterable[Mapping[str, Any]]],
    files: Iterable[str],
    targets: tuple[str, ...],
    content: str,
) -> Task:
    """A task over files alone; its result stands for `content`."""

    def run(task: Any) -> Any:
        def made() -> dict[str, Any]:
            return _record(ws, content, task, Made(list(action(site.config)), site.paths(targets)))

        return _guarded(ws, site.config, task.name, made)

    return _task(ws, site, run, files, site.files(targets), content)


def _task(
    ws: Workspace,
    site: Site,
    run: Callable[[Any], Any],
    files: Iterable[str],
    targets: Iterable[str],
    content: str,
) -> Task:
    def fresh(task: Any, values: Mapping[str, Any]) -> bool:
        kept = values.get(RECORD)
        try:
            if is_fresh(kept, ws.toolchain.digest, content, ws.root, ws.digests, ws.fixed):
                return True
        except FinnmakeError as error:  # of the toolchain, where a command only asks for the state of tasks
            raise InvalidDodoFile(str(error)) from error
        for path in task.file_dep:
            ws.digests.first(path)  # now that this says no, doit itself looks only after the action
        return False

    vars(fresh)["__signature__"] = _FRESH  # doit asks every task; working it out takes long
    vars(fresh)["content"] = content  # for whoever explains
    return {
        "name": site.config.id,
        "actions": [run],
        "file_dep": list(files),
        "targets": list(targets),
        "uptodate": [fresh],
        "clean": True,
        "io": {"capture": False},
        "doc": site.doc,
    }


#: The signature of `fresh` in `_task`.
_FRESH = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("task", "values")]
)


def _record(ws: Workspace, content: str, task: Any, made: Made) -> dict[str, Any]:
    return {
        RECORD: record(
            made.reads,
            identity=ws.toolchain.digest,
            content_id=content,
            outputs=made.outputs,
            depends=task.file_dep,
            whole=made.whole,
            project=ws.root,
            digests=ws.digests,
        )
    }


def _guarded(ws: Workspace, config: BuildConfig, name: str, made: Callable[[], dict[str, Any]]) -> Any:
    """What an action gives doit: its values, or a failure in words."""
    ws.begin(config)
    with ws.gate.entered(), ws.screen.task(name, config.id):
        try:
            return made()
        except FinnmakeError as error:
            return TaskFailed(ws.failed(config, error))
        except OSError as error:
            return TaskFailed(ws.failed(config, from_os_error(error)))


def _described(segment: Segment) -> dict[str, Any]:
    """What a segment stands for; which configurations go through it changes nothing in its steps."""
    return {"id": segment.id, "steps": list(segment.steps)}
