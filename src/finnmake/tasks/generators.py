"""The task groups: from ONNX model to processed model to FINN's outputs to metrics, analyses and report."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from doit.exceptions import InvalidDodoFile, TaskFailed

from finnmake.engine.folders import remove_tree
from finnmake.errors import FinnmakeError, from_os_error
from finnmake.exploration.tree import Segment, estimates_at
from finnmake.hashing import digest_value
from finnmake.records import BuildConfig
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


class Made(NamedTuple):
    """What an action tells: what its steps did, the files that it left, and whether all of it went well."""

    reads: list[Mapping[str, Any]]
    outputs: Iterable[Path]
    whole: bool = True


#: Makes what a task is for, of one configuration. One for a group: ten thousand configurations share it.
Making = Callable[[Site], Made]


# doit reads the source of each of these, line by line: so what they do stands below.


def task_preprocess() -> Iterator[Task]:
    """apply the pre_proc transforms to the model"""
    return _preprocess(workspace())


def task_segment() -> Iterator[Task]:
    """run the steps that several configurations share"""
    return _segment(workspace())


def task_estimate() -> Iterator[Task]:
    """make the estimates of a configuration that goes on beyond them"""
    return _estimate(workspace())


def task_finn() -> Iterator[Task]:
    """run FINN: reports, final model, manifest"""
    return _finn(workspace())


def task_metrics() -> Iterator[Task]:
    """read FINN's reports into metrics.json"""
    return _metrics(workspace())


def task_analyze() -> Iterator[Task]:
    """run the post_proc analyses of the finished build"""
    return _analyze(workspace())


def task_report() -> Iterator[Task]:
    """write report.html from the JSON files"""
    return _report(workspace())


def task_build() -> Iterator[Task]:
    """build a configuration, all the way to its report"""
    return _build(workspace())


def _preprocess(ws: Workspace) -> Iterator[Task]:
    names = ("model.onnx", "processed_model.onnx")

    def made(site: Site) -> Made:
        return Made(ws.runner.preprocess(site.config), site.paths(names))

    for site in ws.sites:
        yield _site_task(ws, site, made, [site.model, *site.sources], names)


def _segment(ws: Workspace) -> Iterator[Task]:
    for segment in ws.segments:
        site = ws.site(ws.leader(segment))
        target = ws.folder / "segments" / f"{segment.id}.json"

        def made(site: Site, segment: Segment = segment, target: Path = target) -> Made:
            from finnmake.runner.outputs import write_json  # a run that finds all up to date writes none

            ws.hooks.before_segment(segment)
            done, error = ws.runner.segment(site.config, ws.tree.depth(segment.id))
            keys = [outcome.key for outcome in done.outcomes] if done else []
            mark = {"simulated": True} if ws.backend.simulated else {}
            write_json(target, {**_described(segment), "action_keys": keys, **mark})
            ws.hooks.after_segment(segment, error)
            return Made(done.reads if done else [], [target], done is not None)

        content = digest_value("task", _described(segment))

        def run(task: Any, segment: Segment = segment, made: Making = made, content: str = content) -> Any:
            site = ws.site(ws.leader(segment))  # only now it is known whom estimates have ruled out
            return _Run(ws, site, made, content)(task)

        task = _task(ws, site, run, [site.model, *site.sources], [str(target)], content)
        above = [f"segment:{segment.parent_id}"] if segment.parent_id else []
        doc = f"{len(segment.steps)} steps on the way of {len(segment.config_ids)} configurations"
        yield {**task, "name": segment.id, "task_dep": above, "doc": doc}


def _estimate(ws: Workspace) -> Iterator[Task]:
    names = ("estimate.json",)

    def made(site: Site) -> Made:
        depth = estimates_at(site.config)
        assert depth is not None  # others have no such task
        reads = ws.runner.estimate(site.config, depth).reads
        ws.estimated.add(site.config.id)
        return Made(reads, site.paths(names))

    for site in ws.sites:
        depth = estimates_at(site.config)
        if depth is None:
            continue
        task = _site_task(ws, site, made, [site.file("processed_model.onnx"), *site.sources], names)
        above = ws.tree.last_within(site.config.id, depth)
        yield {**task, "task_dep": [f"segment:{above}"] if above else []}


def _finn(ws: Workspace) -> Iterator[Task]:
    names = ("config.json", "final_model.onnx", "manifest.json", "build.log")

    def made(site: Site) -> Made:
        done = ws.runner.build(site.config)
        artifacts = [site.folder / "artifacts" / name for name in done.placed]
        return Made(done.reads, [*site.paths(names), *artifacts, *ws.runner.build_folders(done)])

    for site in ws.sites:
        task = _site_task(ws, site, made, [site.file("processed_model.onnx"), *site.sources], names)
        yield {**task, "task_dep": [f"segment:{ws.tree.leaves[site.config.id]}"]}


def _metrics(ws: Workspace) -> Iterator[Task]:
    names = ("metrics.json",)
    made = _of_files(ws.collect_metrics, names)
    for site in ws.sites:
        yield _site_task(ws, site, made, site.files(("manifest.json", "config.json")), names)


def _analyze(ws: Workspace) -> Iterator[Task]:

    def made(site: Site) -> Made:
        done = ws.runner.analyze(site.config)
        return Made(done.reads, (site.folder / "postprocessing").glob("*.json"), done.whole)

    for site in ws.sites:
        files = [*site.files(("manifest.json", "metrics.json")), *site.sources]
        yield _site_task(ws, site, made, files, ("postprocessing/warnings.json",))


def _report(ws: Workspace) -> Iterator[Task]:
    template = str(ws.root / "templates" / "report.html.j2")
    modules = modules_digest("report", ws.digests)
    needs = ("manifest.json", "metrics.json", "config.json", "postprocessing/warnings.json")
    names = ("report.html",)
    made = _of_files(ws.report, names)
    for site in ws.sites:
        content = digest_value("task", [site.content, modules])
        yield _site_task(ws, site, made, [template, *site.files(needs)], names, content)


def _build(ws: Workspace) -> Iterator[Task]:
    needs = ("manifest.json", "metrics.json", "postprocessing/warnings.json", "report.html")
    names = ("result.json",)

    def finish(config: BuildConfig) -> list[Mapping[str, Any]]:
        return [*ws.finish(config), ws.runner.read_of_analyses(config)]

    made = _of_files(finish, names)
    for site in ws.sites:
        task = _site_task(ws, site, made, site.files(needs), names)
        yield {**task, "clean": [(remove_tree, [site.folder])]}


def _of_files(action: Callable[[BuildConfig], Iterable[Mapping[str, Any]]], targets: Iterable[str]) -> Making:
    """What a task over files alone makes."""

    def made(site: Site) -> Made:
        return Made(list(action(site.config)), site.paths(targets))

    return made


def _site_task(
    ws: Workspace,
    site: Site,
    made: Making,
    files: Iterable[str],
    targets: Iterable[str],
    content: str = "",
) -> Task:
    """A task of one configuration: fresh while everything that it read is the same.

    Args:
        made: its work.
        files: its file dependencies.
        targets: names of files in the configuration's folder.
        content: what its result stands for; that of the site if not given.
    """
    content = content or site.content
    return _task(ws, site, _Run(ws, site, made, content), files, site.files(targets), content)


def _task(
    ws: Workspace,
    site: Site,
    run: Callable[[Any], Any],
    files: Iterable[str],
    targets: Iterable[str],
    content: str,
) -> Task:
    return {
        "name": site.config.id,
        "actions": [run],
        "file_dep": list(files),
        "targets": list(targets),
        "uptodate": [Fresh(ws, content)],
        "clean": True,
        "io": {"capture": False},
        "doc": site.doc,
    }


def _signature(*names: str) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind) for name in names])


class _Run:
    """A task's action: its work for one configuration, and the record of that. Smaller than a closure."""

    __slots__ = ("_content", "_made", "_site", "_ws")
    __signature__ = _signature("task")

    def __init__(self, ws: Workspace, site: Site, made: Making, content: str) -> None:
        self._ws = ws
        self._site = site
        self._made = made
        self._content = content

    def __call__(self, task: Any) -> Any:
        def recorded() -> dict[str, Any]:
            return _record(self._ws, self._content, task, self._made(self._site))

        return _guarded(self._ws, self._site.config, task.name, recorded)


class Fresh:
    """doit's question whether a task is up to date.

    Attributes:
        content: what the task's result stands for.
    """

    __slots__ = ("_ws", "content")
    __signature__ = _signature("task", "values")  # doit asks every task; working it out takes long

    def __init__(self, ws: Workspace, content: str) -> None:
        self._ws = ws
        self.content = content

    def __call__(self, task: Any, values: Mapping[str, Any]) -> bool:
        """Whether all that the task's record tells of is as it was. Raises InvalidDodoFile."""
        ws = self._ws
        try:
            if is_fresh(values.get(RECORD), ws.toolchain.digest, self.content, ws.root, ws.digests, ws.fixed):
                return True
        except FinnmakeError as error:  # of the toolchain, where a command only asks for the state of tasks
            raise InvalidDodoFile(str(error)) from error
        for path in task.file_dep:
            ws.digests.first(path)  # now that this says no, doit itself looks only after the action
        return False


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
