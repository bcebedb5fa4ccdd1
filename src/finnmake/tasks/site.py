"""What the tasks of one configuration have in common, worked out once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from finnmake.hashing import digest_value
from finnmake.records import BuildConfig

#: Fields that `doit list` shows, where the configuration sets them.
_SHOWN = ("fpga_part", "board", "synth_clk_period_ns", "target_fps")


@dataclass(frozen=True)
class Site:
    """The place where a configuration is built.

    Attributes:
        config: the configuration.
        folder: its outputs.
        model: the model's file.
        sources: the plugin files that it names; what they import in turn is found by the trace.
        content: digest of all that config.json says: more than the content id, which leaves out what no
            step can read.
        doc: its values in one line, for `doit list`.
    """

    config: BuildConfig
    folder: Path
    model: str
    sources: tuple[str, ...]
    content: str
    doc: str

    @classmethod
    def of(cls, config: BuildConfig, root: Path, sources: Iterable[Path]) -> Site:
        """The place below the project `root`."""
        flags = config.config_flags
        return cls(
            config=config,
            folder=root / config.output_dir,
            model=str(root / config.model_path),
            sources=tuple(map(str, sources)),
            content=digest_value("task", config.to_dict()),
            doc=", ".join(f"{name}={flags[name]}" for name in _SHOWN if name in flags),
        )

    def file(self, name: str) -> str:
        """The path of one output."""
        return f"{self.folder}/{name}"

    def files(self, names: Iterable[str]) -> list[str]:
        """The paths of outputs, as doit wants them."""
        return [f"{self.folder}/{name}" for name in names]

    def paths(self, names: Iterable[str]) -> list[Path]:
        """The paths of outputs."""
        return [self.folder / name for name in names]
