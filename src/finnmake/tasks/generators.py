"""The task groups: from ONNX model to processed model to FINN's outputs to metrics, analyses and report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile, TaskFailed

from finnmake.engine.folders import remove_tree
from finnmake.errors import FinnmakeError, from_os_error
from finnmake.explore.tree import Segment
from finnmake.hashing import digest_value
from finnmake.records import BuildConfig
from finnmake.runner.outputs import write_json
from finnmake.tasks.checker import ContentChecker
from finnmake.tasks.fresh import RECORD, is_fresh, record
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

_PACKAGE = Path(__file__).resolve().parent.parent

#: What the metrics come from besides the runner's own modules.
_TABLES = (_PACKAGE / "records.py", _PACKAGE / "blueprint" / "finn_tables.json")


@dataclass(frozen=True)
class Made:
    """What an action tells: what its steps did, the files that it left, and whether all of it went well."""

    reads: list[Mapping[str, Any]]
    outputs: Iterable[Path]
    whole: bool = True


def task_preprocess() -> Iterator[Task]:
    """apply the pre_proc transforms to the model"""
    ws = workspace()
    for config in ws.configs:
        folder = _folder(ws, config)
        targets = [folder / "model.onnx", folder / "processed_model.onnx"]

        def action(config: BuildConfig = config, targets: list[Path] = targets) -> Made:
            return Made(ws.runner.preprocess(config), targets)

        yield _engine_task(ws, config, action, [ws.root / config.model_path, *_sources(ws, config)], targets)


def task_segment() -> Iterator[Task]:
    """run the steps that several configurations share"""
    ws = workspace()
    by_id = {config.id: config for config in ws.configs}
    for segment in ws.tree.segments:
        first = by_id[ws.leader(segment)]
        target = ws.folder / "segments" / f"{segment.id}.json"

        def action(segment: Segment = segment, first: BuildConfig = first, target: Path = target) -> Made:
            done = ws.runner.segment(first, ws.depth(segment))
            keys = [outcome.key for outcome in done.outcomes] if done else []
            write_json(target, {**_described(segment), "action_keys": keys})
            return Made(done.reads if done else [], [target], done is not None)

        files = [ws.root / first.model_path, *_sources(ws, first)]
        task = _engine_task(ws, first, action, files, [target], digest_value("task", _described(segment)))
        above = [f"segment:{segment.parent_id}"] if segment.parent_id else []
        doc = f"{len(segment.steps)} steps on the way of {len(segment.config_ids)} configurations"
        yield {**task, "name": segment.id, "task_dep": above, "doc": doc}


def task_finn() -> Iterator[Task]:
    """run FINN: reports, final model, manifest"""
    ws = workspace()
    for config in ws.configs:
        folder = _folder(ws, config)
        names = ("config.json", "final_model.onnx", "manifest.json", "build.log")
        targets = [folder / name for name in names]

        def action(
            config: BuildConfig = config, folder: Path = folder, targets: list[Path] = targets
        ) -> Made:
            done = ws.runner.build(config)
            artifacts = [folder / "artifacts" / name for name in done.placed]
            return Made(done.reads, [*targets, *artifacts, *ws.runner.build_folders(done)])

        task = _engine_task(
            ws, config, action, [folder / "processed_model.onnx", *_sources(ws, config)], targets
        )
        yield {**task, "task_dep": [f"segment:{ws.tree.leaves[config.id]}"]}


def task_metrics() -> Iterator[Task]:
    """read FINN's reports into metrics.json"""
    ws = workspace()
    for config in ws.configs:
        folder = _folder(ws, config)
        yield _plain_task(
            ws,
            config,
            ws.collect_metrics,
            [folder / "manifest.json", folder / "config.json", *_modules("runner"), *_TABLES],
            [folder / "metrics.json"],
        )


def task_analyze() -> Iterator[Task]:
    """run the post_proc analyses of the finished build"""
    ws = workspace()
    for config in ws.configs:
        folder = _folder(ws, config)
        target = folder / "postprocessing" / "warnings.json"

        def action(config: BuildConfig = config, target: Path = target) -> Made:
            done = ws.runner.analyze(config)
            return Made(done.reads, target.parent.glob("*.json"), done.whole)

        files = [folder / "manifest.json", folder / "metrics.json", *_sources(ws, config)]
        yield _engine_task(ws, config, action, files, [target])


def task_report() -> Iterator[Task]:
    """write report.html from the JSON files"""
    ws = workspace()
    template = ws.root / "templates" / "report.html.j2"
    for config in ws.configs:
        folder = _folder(ws, config)
        names = ("manifest.json", "metrics.json", "config.json", "postprocessing/warnings.json")
        yield _plain_task(
            ws,
            config,
            ws.report,
            [template, *_modules("report"), *(folder / name for name in names)],
            [folder / "report.html"],
        )


def task_build() -> Iterator[Task]:
    """build a configuration, all the way to its report"""
    ws = workspace()
    for config in ws.configs:
        folder = _folder(ws, config)
        names = ("manifest.json", "metrics.json", "report.html")
        task = _plain_task(
            ws,
            config,
            ws.finish,
            [folder / name for name in names],
            [folder / "result.json"],
        )
        yield {**task, "clean": [(remove_tree, [folder])], "doc": _described_config(config)}


def _content(config: BuildConfig) -> str:
    """All that config.json says: more than the content id, which leaves out what no step can read."""
    return digest_value("task", config.to_dict())


def _folder(ws: Workspace, config: BuildConfig) -> Path:
    return ws.root / config.output_dir


def _modules(package: str) -> list[Path]:
    """Sources and tables of finnmake that a plain task uses: editing them makes its result stale."""
    return sorted(path for path in (_PACKAGE / package).iterdir() if path.suffix in (".py", ".json"))


def _sources(ws: Workspace, config: BuildConfig) -> list[Path]:
    """The plugin files that the configuration names; what they import in turn is found by the trace."""
    return ws.names.sources(config)


def _engine_task(
    ws: Workspace,
    config: BuildConfig,
    action: Callable[[], Made],
    files: Iterable[Path],
    targets: Iterable[Path],
    content_id: str | None = None,
) -> Task:
    """A task whose action runs steps: fresh while everything that they read is the same.

    Args:
        content_id: what the result stands for; the whole configuration where it is not given.
    """
    content = content_id or _content(config)

    def run(task: Any) -> Any:
        return _guarded(ws, config, task.name, lambda: _record(ws, content, task, action()))

    return _task(ws, config, run, files, targets, content)


def _plain_task(
    ws: Workspace,
    config: BuildConfig,
    action: Callable[[BuildConfig], Iterable[Mapping[str, Any]]],
    files: Iterable[Path],
    targets: Iterable[Path],
) -> Task:
    """A task over files alone."""
    left = list(targets)

    def run(task: Any) -> Any:
        def made() -> dict[str, Any]:
            return _record(ws, _content(config), task, Made(list(action(config)), left))

        return _guarded(ws, config, task.name, made)

    return _task(ws, config, run, files, left, _content(config))


def _task(
    ws: Workspace,
    config: BuildConfig,
    run: Callable[[Any], Any],
    files: Iterable[Path],
    targets: Iterable[Path],
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

    return {
        "name": config.id,
        "actions": [run],
        "file_dep": [str(path) for path in files],
        "targets": [str(path) for path in targets],
        "uptodate": [fresh],
        "clean": True,
        "io": {"capture": False},
        "doc": _described_config(config),
    }


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
    with ws.screen.task(name):
        try:
            return made()
        except FinnmakeError as error:
            ws.failed(config, error)
            return TaskFailed(str(error))
        except OSError as error:
            failure = from_os_error(error)
            ws.failed(config, failure)
            return TaskFailed(str(failure))


def _described(segment: Segment) -> dict[str, Any]:
    return {"id": segment.id, "steps": list(segment.steps), "configurations": list(segment.config_ids)}


def _described_config(config: BuildConfig) -> str:
    """The values of a configuration in one line, for `doit list`."""
    shown = ("fpga_part", "board", "synth_clk_period_ns", "target_fps")
    values = [f"{name}={config.config_flags[name]}" for name in shown if name in config.config_flags]
    return ", ".join(values)
