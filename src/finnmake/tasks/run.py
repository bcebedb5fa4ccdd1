"""`doit run`, the command behind `doit build`: doit's own, in an order and with a number of jobs of ours."""

from __future__ import annotations

import getopt
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from doit.action import PythonAction
from doit.cmd_run import Run as DoitRun
from doit.cmd_run import opt_num_process, opt_parallel_type
from doit.exceptions import InvalidCommand
from doit.task import Stream

from finnmake.errors import FinnmakeError
from finnmake.tasks.command import HELP, refuse
from finnmake.tasks.schedule import Control, Dispatcher, SerialRunner, ThreadRunner
from finnmake.tasks.schedule_jobs import limits_of, processors
from finnmake.tasks.workspace import workspace

#: Stands for a number of jobs that is found by itself.
AUTO = "auto"

JOBS = {
    "name": "num_process",
    "short": "n",
    "long": "process",
    "type": str,
    "default": AUTO,
    "metavar": "N",
    "help": (
        "builds at once; auto, or 0, for as many as there are processors and as memory allows, by what steps "
        "took in earlier runs [default: %(default)s]"
    ),
}
THREADS = {
    **opt_parallel_type,
    "default": "thread",
    "help": "how tasks run at once: thread, no other way",
}
QUIET = {
    "name": "quiet",
    "short": "q",
    "long": "quiet",
    "type": bool,
    "default": False,
    "env_var": "FINNMAKE_QUIET",
    "help": "only failures and the last line",
}
WAVES = {
    "name": "waves",
    "long": "waves",
    "type": bool,
    "default": False,
    "help": "write the waveform of each design that is built, as the command waves does",
}


def jobs_of(command: str, given: Any) -> int | None:
    """The number that `-n` gives; None for `auto`. Raises InvalidCommand."""
    text = str(given)
    if text == AUTO or (text.isdecimal() and int(text) == 0):
        return None
    if not text.isdecimal():
        raise InvalidCommand(
            f"{command}: -n takes a whole number or {AUTO}, not {text!r}\n  -> Give how many builds at once."
        )
    return int(text)


class Options(NamedTuple):
    """doit's options of a run, by doit's names."""

    always: bool
    continue_: bool
    reporter: Any = "finnmake"
    outstream: Any = None
    verbosity: int | None = 2
    force_verbosity: bool = False
    failure_verbosity: int = 0


class ScheduledRun(DoitRun):  # type: ignore[misc]
    """What `run` and `explore` have in common."""

    _built: Sequence[str] = ()

    def execute(self, params: Any, args: list[str]) -> Any:
        """Make the screen as quiet as it is to be, from the first line on; then load the tasks and run."""
        workspace().screen.quiet = params["quiet"]
        return super().execute(params, args)

    def run_tasks(self, control: Control, jobs: int | None, options: Options, *, last: bool = True) -> int:
        """Run what the control has selected, in the order of the plan; gives doit's exit code.

        Args:
            jobs: builds at once; None for as many as there is room for.
            last: whether no other run of these tasks follows.
        """
        ws = workspace()
        dispatcher = control.task_dispatcher()
        dispatcher.lets_go = last
        configs = _configs(dispatcher.selected_tasks, [config.id for config in ws.configs])
        asked = jobs or min(
            processors(limits_of(ws.ground.runtime.name, ws.settings.container)), max(1, len(configs))
        )
        reporter = options.reporter
        reporter_class = self.reporters[reporter] if isinstance(reporter, str) else reporter
        arguments = [
            self.dep_manager,
            reporter_class(options.outstream or sys.stdout, {"failure_verbosity": options.failure_verbosity}),
            options.continue_,
            options.always,
            Stream(options.verbosity, options.force_verbosity),
        ]
        runner = ThreadRunner(*arguments, asked) if asked > 1 else SerialRunner(*arguments)

        def make_plan(on: Dispatcher) -> None:
            from finnmake.tasks.schedule_plan import plan  # a run that finds all up to date needs none

            on.keep_to(plan(ws, configs, asked))

        runner.plan = make_plan
        self._built = _builds(dispatcher.selected_tasks)
        with ws.screen.following(self._built):
            code: int = runner.run_all(dispatcher)
        return code


def _configs(tasks: Iterable[str], known: Sequence[str]) -> list[str]:
    """The configurations that a run is about, in the order in which its tasks name them; else all."""
    ids = set(known)
    named = dict.fromkeys(task.partition(":")[2] for task in tasks)
    return [each for each in named if each in ids] or list(known)


def _builds(tasks: Iterable[str]) -> list[str]:
    """The configurations that a run builds to their ends."""
    named = (task.partition(":") for task in tasks)
    return [config for group, _, config in named if group == "build" and config]


class Run(ScheduledRun):
    """Run tasks: doit's command, and what it does where no command is named."""

    name = "run"
    doc_purpose = "run tasks: those asked for, and all that they need"
    cmd_options = (
        *(each for each in DoitRun.cmd_options if each not in (opt_num_process, opt_parallel_type)),
        JOBS,
        THREADS,
        QUIET,
        WAVES,
        HELP,
    )

    def parse_execute(self, in_args: list[str]) -> Any:
        """Parse the arguments and run; options may stand behind the names of tasks."""
        if "--help" in in_args:
            print(self.help())
            return 0
        return super().parse_execute(self._options_first(in_args))

    def _options_first(self, arguments: list[str]) -> list[str]:
        """The arguments in the order that doit parses, unless some are the options of a task."""
        try:
            options, names = getopt.gnu_getopt(
                arguments, self.cmdparser.get_short(), self.cmdparser.get_long()
            )
        except getopt.GetoptError:
            return arguments
        return [*(text for option in options for text in option if text), *names]

    def execute(self, params: Any, args: list[str]) -> Any:
        """Refuse what cannot be, then load the tasks and run."""
        self._jobs = jobs_of(self.name, params["num_process"])
        if params["par_type"] != "thread":
            raise InvalidCommand(
                f"run: -P takes thread, not {params['par_type']!r}\n"
                "  -> Leave it away: steps run in processes of their own."
            )
        if not params["waves"]:
            return super().execute(params, args)
        return self._with_waves(params, args)

    def _with_waves(self, params: Any, args: list[str]) -> Any:
        """Run, and write waveforms where all went well."""
        from finnmake.tasks import waves

        try:
            waves.check_backend(workspace())
            return super().execute(params, args) or waves.write_all(self._built)
        except FinnmakeError as error:
            return refuse(error)

    def _execute(
        self,
        outfile: Any,
        verbosity: int | None,
        always: bool,
        continue_: bool,
        reporter: Any,
        single: bool,
        auto_delayed_regex: bool,
        force_verbosity: bool,
        failure_verbosity: int,
        pdb: bool,
    ) -> int:
        """doit's own, on another dispatcher and other runners."""
        PythonAction.pm_pdb = pdb
        control = Control(self.task_list, auto_delayed_regex=auto_delayed_regex)
        control.process(self.sel_tasks)
        if single:
            _cut(control)
        with ExitStack() as stack:
            stream = outfile
            if isinstance(outfile, str):
                stream = stack.enter_context(open(outfile, "w", encoding="utf-8"))
            return self.run_tasks(
                control,
                self._jobs,
                Options(always, continue_, reporter, stream, verbosity, force_verbosity, failure_verbosity),
            )


def _cut(control: Control) -> None:
    """Of `--single`: the tasks that are named, without those that they depend on."""
    for name in control.selected_tasks:
        task = control.tasks[name]
        alone = [control.tasks[each] for each in task.task_dep] if task.has_subtask else [task]
        for each in alone:
            each.task_dep = []
