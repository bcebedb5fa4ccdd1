"""What the tasks of one configuration have in common, worked out once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from finnmake.hashing import digest_value
from finnmake.records import BuildConfig

#: Fields that `doit list` shows, where the configuration sets them.
_SHOWN = ("fpga_part", "board", "synth_clk_period_ns", "target_fps")


class Site(NamedTuple):
    """The place where a configuration is built.

    A null build makes thousands of these: paths are text, which is quicker to join.

    Attributes:
        config: the configuration.
        root: the folder of its outputs.
        model: the model's file.
        sources: the plugin files that it names; what they import in turn is found by the trace.
        content: digest of all that config.json says (more than the content id, which leaves out what no
            step can read) and of finnmake's own modules that write the outputs.
        doc: its values in one line, for `doit list`.
    """

    config: BuildConfig
    root: str
    model: str
    sources: tuple[str, ...]
    content: str
    doc: str

    @classmethod
    def of(cls, config: BuildConfig, root: Path, sources: Iterable[Path], modules: str) -> Site:
        """The place below the project `root`; `modules` is the digest of finnmake's own."""
        flags = config.config_flags
        return cls(
            config=config,
            root=f"{root}/{config.output_dir}",
            model=str(root / config.model_path),
            sources=tuple(map(str, sources)),
            content=digest_value("task", [config.fields(), modules]),
            doc=", ".join(f"{name}={flags[name]}" for name in _SHOWN if name in flags),
        )

    @property
    def folder(self) -> Path:
        """The folder of its outputs."""
        return Path(self.root)

    def file(self, name: str) -> str:
        """The path of one output."""
        return f"{self.root}/{name}"

    def files(self, names: Iterable[str]) -> list[str]:
        """The paths of outputs, as doit wants them."""
        return [f"{self.root}/{name}" for name in names]

    def paths(self, names: Iterable[str]) -> list[Path]:
        """The paths of outputs."""
        return [self.folder / name for name in names]
