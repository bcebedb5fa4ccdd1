"""The preprocessing pipeline: the `pre_proc` transforms, each one a step of the engine."""

from __future__ import annotations

from pathlib import Path

from finnmake.backends.passthrough import FOLDER
from finnmake.engine.realize import Flow, StepOutcome
from finnmake.exploration.tree import BEFORE_STEPS
from finnmake.records import BuildConfig
from finnmake.runner.failures import left_out
from finnmake.runner.modelfile import check_model
from finnmake.runner.realizer import Reads, Realizer
from finnmake.runner.reports import read_json


def passed_over(folder: Path) -> list[str]:
    """What is to be said of transforms that failed and, by `on_error: passthrough`, left the model as it was.

    Args:
        folder: of a finished build.
    """
    paths = sorted((folder / "artifacts" / FOLDER).glob("*.json"))
    return [said for path in paths if (said := left_out(read_json(path)[0])) is not None]


class PreprocessingPipeline:
    """From the user's model to the one that the first step gets."""

    def __init__(self, realizer: Realizer) -> None:
        self._realizer = realizer

    def run(self, config: BuildConfig) -> list[Reads]:
        """Apply the transforms: model.onnx, processed_model.onnx. Raises FinnmakeError."""
        realizer = self._realizer
        calls = realizer.calls(config)[: len(config.transforms_by_stage.get(BEFORE_STEPS, []))]
        check_model(realizer.project / config.model_path)
        folder = realizer.folder(config)

        def place(flow: Flow, outcomes: list[StepOutcome]) -> None:
            last = outcomes[-1].state.model if outcomes else flow.model
            realizer.store.place(flow.model, folder / "model.onnx")
            realizer.store.place(last, folder / "processed_model.onnx")

        return realizer.realize(config, calls, place).reads
