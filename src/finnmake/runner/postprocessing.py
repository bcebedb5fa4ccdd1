"""The postprocessing pipeline: the `post_proc` analyses of a finished build, each a step of the engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from finnmake.engine.realize import Flow, StepOutcome
from finnmake.engine.state import StepCall
from finnmake.errors import StepError
from finnmake.exploration.tree import BEFORE_STEPS
from finnmake.plugins.build import AFTER, ORIGINAL, PROCESSED
from finnmake.records import BuildConfig
from finnmake.runner.flow import call_of, named
from finnmake.runner.outputs import analysis_entry, write_json
from finnmake.runner.realizer import Reads, Realizer

#: The folder of the analyses' files, and the stage of the blueprint that names the analyses.
FOLDER = "postprocessing"
STAGE = "post_proc"


@dataclass
class Analyzed:
    """What the analyses of a build came to: all that they read, what failed, whether all reads are known."""

    reads: list[Reads] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    whole: bool = True


class PostprocessingPipeline:
    """From a finished build to postprocessing/<name>.json.

    What an analysis lists under `warnings` is a warning of the build, and so is an analysis that fails.
    """

    def __init__(self, realizer: Realizer) -> None:
        self._realizer = realizer

    def run(self, config: BuildConfig) -> Analyzed:
        """Run the analyses: postprocessing/<name>.json and warnings.json."""
        folder = self._realizer.folder(config) / FOLDER
        entries = config.transforms_by_stage.get(STAGE, [])
        _remove_others(folder, {named("analysis", entry)[0] for entry in entries})
        done = Analyzed()
        models = self._models(config) if entries else {}
        for entry in entries:
            try:
                done.reads += self._analyze(config, entry, models)
                done.warnings += _told(folder / f"{named('analysis', entry)[0]}.json")
            except StepError as error:
                cure = f" -> {error.cure}" if error.cure else ""
                done.warnings.append(f"{error.category}: analysis {error.step}: {error.message}{cure}")
                done.whole = done.whole and error.reads is not None
                done.reads += [error.reads] if error.reads is not None else []
        write_json(folder / "warnings.json", done.warnings)
        return done

    def _models(self, config: BuildConfig) -> dict[str, str]:
        """The models that analyses see: file name -> blob."""
        first = len(config.transforms_by_stage.get(BEFORE_STEPS, []))
        calls = self._realizer.calls(config)
        return self._realizer.realize(config, calls, partial(models_of, first=first)).placed

    def _analyze(self, config: BuildConfig, entry: Any, models: Mapping[str, str]) -> list[Reads]:
        realizer = self._realizer
        folder = realizer.folder(config)
        calls = realizer.calls(config)
        wanted = call_of("analysis", entry, realizer.names, realizer.engine.digests, position=len(calls))
        call = given(wanted, config, json.loads((folder / "metrics.json").read_text()), models)
        target = folder / FOLDER / f"{call.name}.json"
        log = target.with_suffix(".log")

        def place(flow: Flow, outcomes: list[StepOutcome]) -> None:
            realizer.store.place(analysis_entry(realizer.store, outcomes[-1]), target)
            log.unlink(missing_ok=True)

        try:
            return realizer.realize(config, [*calls, call], place, log).reads
        except StepError:
            target.unlink(missing_ok=True)  # it would pass for the result of this build
            raise


def given(call: StepCall, config: BuildConfig, metrics: Any, models: Mapping[str, str]) -> StepCall:
    """The call of an analysis with all that it sees: its own parameters, the build's figures and models."""
    told = {"parameters": call.parameters, "config": config.to_dict(), "metrics": metrics}
    return replace(call, parameters=told, inputs=models)


def models_of(flow: Flow, outcomes: Sequence[StepOutcome], first: int) -> dict[str, str]:
    """The model as it was given, as the first step got it (after `first` transforms), and after each call."""
    after = [(outcome.call, outcome.state.model) for outcome in outcomes]
    return named_models(flow.model, after, first)


def named_models(model: str, after: Sequence[tuple[StepCall, str]], first: int) -> dict[str, str]:
    """The same from refs: of the model, and of what each call left."""
    return {
        ORIGINAL: model,
        PROCESSED: after[first - 1][1] if first else model,
        **{f"{AFTER}/{at:03}_{call.name}.onnx": ref for at, (call, ref) in enumerate(after)},
    }


def _told(result: Path) -> list[str]:
    """The warnings in the result of an analysis, with its name."""
    content = json.loads(result.read_text())
    told = content.get("warnings") if isinstance(content, dict) else None
    warnings = [told] if isinstance(told, str) else [] if told is None else told
    if not isinstance(warnings, list):
        return [f"{result.stem}: its `warnings` are no list of texts: {json.dumps(told)}"]
    return [f"{result.stem}: {each if isinstance(each, str) else json.dumps(each)}" for each in warnings]


def _remove_others(folder: Path, wanted: set[str]) -> None:
    """Remove the files of analyses that the blueprint no longer has."""
    for left in folder.glob("*.*"):
        if left.stem not in wanted:
            left.unlink()
