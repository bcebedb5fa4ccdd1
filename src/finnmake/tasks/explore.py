"""`doit explore`: builds the design space and ranks it. `finnmake.explore` runs this very command."""

from __future__ import annotations

import getopt
import sys
from collections.abc import Mapping
from typing import Any

from doit.dependency import Dependency
from doit.exceptions import InvalidCommand, InvalidDodoFile

from finnmake.errors import FinnmakeError
from finnmake.tasks.command import FAILED, flag
from finnmake.tasks.exploration import Exploration
from finnmake.tasks.loader import GROUPS
from finnmake.tasks.run import JOBS, QUIET, Options, ScheduledRun, jobs_of
from finnmake.tasks.schedule import Control, was_let_go
from finnmake.tasks.workspace import workspace

_FAIL_FAST = flag("fail-fast", "stop at the first build that fails (search.fail_fast in the blueprint)")
_EARLY_STOP = flag(
    "early-stop", "make all estimates first; what they rule out is not built further (search.early_stop)"
)
_RESTART = flag(
    "restart", "make all outputs again; steps that are in the store are taken from there all the same"
)

#: Where early stop was asked for and can do nothing.
NO_EARLY_STOP = (
    "nothing to stop early: no configuration goes on after step_generate_estimate_reports "
    "(output_stage RTL or further, with that step among the steps)"
)


class Explore(ScheduledRun):
    """Build all configurations that the blueprint's `search` asks for, and rank them."""

    doc_purpose = "build the design space and rank its configurations"
    doc_usage = ""
    doc_description = (
        "Results are in builds/<name>/exploration/ as CSV, JSON and Parquet. Stopped and started again it "
        "goes on; after an edit of the blueprint only what is new is built."
    )

    cmd_options = (JOBS, _FAIL_FAST, _EARLY_STOP, _RESTART, QUIET)

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse the arguments and run; what doit cannot parse is refused in words."""
        try:
            getopt.getopt(in_args, self.cmdparser.get_short(), self.cmdparser.get_long())
        except getopt.GetoptError as error:
            raise InvalidCommand(f"explore: {error.msg}\n  -> See `doit help explore`.") from error
        return super().parse_execute(in_args)

    def execute(self, params: Any, args: list[str]) -> Any:
        """Refuse what would be ignored, then load the tasks and run."""
        if args:
            raise InvalidCommand(
                f"explore takes no {args[0]!r}\n  -> Single configurations are tasks: build:config_001."
            )
        self._jobs = jobs_of(self.name, params["num_process"])
        self._params = params
        return super().execute(params, args)

    def _execute(
        self,
        fail_fast: bool,
        early_stop: bool,
        restart: bool,
    ) -> int:
        """Run doit, once or (after estimates) twice, and write the results; 1 where a build failed."""
        ws = workspace()
        search = ws.space.search_config
        exploration = Exploration(ws, fail_fast=fail_fast or search.fail_fast)
        # Results are collected by this reporter, whatever the user would like.
        options = Options(always=restart, continue_=not exploration.fail_fast, outstream=sys.stdout)
        exploration.begin()
        try:
            code = self._build(exploration, options, early_stop or search.early_stop)
        except KeyboardInterrupt:
            exploration.collect()  # hooks come to their end; tables of an earlier run stay
            raise
        if code and exploration.fail_fast:
            self._look_for_up_to_date(exploration)
        found = exploration.finish()
        return FAILED if found.failures else code

    def _build(self, exploration: Exploration, options: Options, early_stop: bool) -> int:
        beyond = exploration.beyond_estimates if early_stop else []
        if early_stop and not beyond:
            workspace().screen.line(f"warning: {NO_EARLY_STOP}")
        estimates = [f"estimate:{config.id}" for config in beyond]
        code = self._run(estimates, options, last=False) if beyond else 0
        if code and exploration.fail_fast:
            return code
        if beyond:
            self._look_for_up_to_date(exploration)
            exploration.stop_early()
        return self._run([f"build:{config.id}" for config in exploration.remaining], options, last=True)

    def _look_for_up_to_date(self, exploration: Exploration) -> None:
        """Find the builds that need nothing among those that this run has not come to."""
        self.dep_manager = self._reopened()
        tasks = {task.name: task for task in self.task_list}
        ws = workspace()
        for config in exploration.configs:
            names = [f"{group}:{config.id}" for group in GROUPS if group != "estimate"]
            if config.id not in ws.results and all(self._is_up_to_date(tasks[name], tasks) for name in names):
                ws.up_to_date.add(config.id)

    def _is_up_to_date(self, task: Any, tasks: Mapping[str, Any]) -> bool:
        return was_let_go(task) or self.dep_manager.get_status(task, tasks).status == "up-to-date"

    def _run(self, tasks: list[str], options: Options, *, last: bool) -> int:
        if not tasks:
            self.dep_manager.close()
            return 0
        control = Control(self.task_list)
        control.process(tasks)
        return self.run_tasks(control, self._jobs, options, last=last)

    def _reopened(self) -> Dependency:
        """The state of the tasks again: a run closes it at its end."""
        params = self._params
        return Dependency(
            self._backends.get(params["backend"]),
            params["dep_file"],
            checker_cls=self.get_checker_cls(params["check_file_uptodate"]),
            codec_cls=self.get_codec_cls(params["codec_cls"]),
        )


#: doit's plugins, as pyproject.toml names them for the command line.
_PLUGINS = {
    "BACKEND": {"finnmake": "finnmake.tasks.state:StateDB"},
    "REPORTER": {"finnmake": "finnmake.tasks.reporter:Reporter"},
}


def run_command(loader: Any, workers: int, flags: Mapping[str, bool]) -> None:
    """The command, called from Python.

    Args:
        loader: of the tasks.
        workers: builds at once.
        flags: the command's options by their names.

    Raises:
        FinnmakeError: what keeps it from starting.
    """
    loader.config, loader.cmd_names = _PLUGINS, []
    command = Explore(task_loader=loader, config=_PLUGINS, bin_name="finnmake", cmds={}, opt_vals={})
    arguments = ["-n", str(workers)]
    arguments += [f"--{name.replace('_', '-')}" for name, given in flags.items() if given]
    try:
        command.parse_execute(arguments)
    except InvalidDodoFile as error:
        if isinstance(error.__cause__, FinnmakeError):
            raise error.__cause__ from None
        raise
