"""The order of a run: the longest configurations first, and each one finished before the next.

doit's own dispatcher takes the tasks that are ready first in, first out: asked for a group, it runs all
`finn` before any `metrics`, and every configuration ends late. The one here keeps doit's rules of what waits
for what, and only chooses among tasks that are ready.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from doit.control import TaskControl, TaskDispatcher
from doit.runner import MThreadRunner, Runner

from finnmake.tasks.loader import GROUPS

#: The groups of tasks that are finnmake's own.
_OURS = (*GROUPS, "segment")

#: How doit calls it that a task went well; and what is asked of a task after that.
_WELL = ("up-to-date", "successful")
_KEPT = ("name", "has_subtask", "setup_tasks", "subtask_of", "task_dep")

#: Comes after all that have a place.
_LAST = 1 << 60


class Order:
    """Which of two tasks goes first, by the configurations that they are for.

    Args:
        configs: ids of configurations, in the order in which they are asked for.
        seconds: configuration id -> expected seconds, as far as they are known.
        members: segment id -> ids of the configurations whose steps lie on it.
    """

    def __init__(
        self, configs: Iterable[str], seconds: Mapping[str, float], members: Mapping[str, Sequence[str]]
    ) -> None:
        longest_first = sorted(configs, key=lambda each: -seconds.get(each, 0.0))
        self._places = {config: place for place, config in enumerate(longest_first)}
        for segment, ids in members.items():
            self._places[segment] = min((self._places.get(each, _LAST) for each in ids), default=_LAST)

    def place(self, task: str) -> int:
        """The place of a task: that of its configuration, or of the first that its segment is for."""
        return self._places.get(task.partition(":")[2], _LAST)


class _Ready:
    """The tasks that are ready, in the place of doit's deque; the first place comes out first."""

    def __init__(self, order: Order, nodes: Iterable[Any]) -> None:
        self._order = order
        self._numbers = itertools.count()
        self._heap: list[tuple[int, int, Any]] = []
        for node in nodes:
            self.append(node)

    def append(self, node: Any) -> None:
        heapq.heappush(self._heap, (self._order.place(node.task.name), next(self._numbers), node))

    def popleft(self) -> Any:
        return heapq.heappop(self._heap)[2]

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def first(self) -> int:
        """The place of what comes out next."""
        return self._heap[0][0]


def was_let_go(task: Any) -> bool:
    """Whether this run has found the task up to date, or made it so, and let it go."""
    return not hasattr(task, "uptodate")


class _Done:
    """Stands for the nodes of tasks that are done: others ask them for nothing else."""

    run_status = "done"


_DONE = _Done()


class Dispatcher(TaskDispatcher):  # type: ignore[misc]
    """doit's, which keeps to an order from the moment that there is one, and lets go of what is done."""

    def __init__(self, tasks: Any, targets: Any, selected_tasks: Sequence[str]) -> None:
        super().__init__(tasks, targets, selected_tasks)
        self.ready: Any
        #: Whether nobody asks for the tasks once they are done; then they take little memory.
        self.lets_go = False
        self._order: Order | None = None
        self._sorted = False

    def keep_to(self, order: Order) -> None:
        """From now on choose by this order, also among what is ready already."""
        self.ready = _Ready(order, self.ready)
        self._order = order

    def _update_waiting(self, processed: Any) -> None:
        super()._update_waiting(processed)
        if self.lets_go and processed is not None and processed.run_status in _WELL:
            self._let_go(processed.task)

    def _let_go(self, task: Any) -> None:
        """Keep of a task of finnmake's what doit asks of one that is done: ten thousand builds have many."""
        if task.subtask_of in _OURS:
            self.nodes[task.name] = _DONE
            held = task.__dict__
            task.__dict__ = {name: held[name] for name in _KEPT}

    def _get_next_node(self, ready: Any, tasks_to_run: list[str]) -> Any:
        if self._order is None:
            return super()._get_next_node(ready, tasks_to_run)
        if not self._sorted:
            tasks_to_run.sort(key=self._order.place, reverse=True)  # the last is taken first
            self._sorted = True
        while tasks_to_run and (not ready or self._order.place(tasks_to_run[-1]) < ready.first):
            node = self._gen_node(None, tasks_to_run.pop())
            if node is not None:
                return node
        return ready.popleft() if ready else None


class Control(TaskControl):  # type: ignore[misc]
    """doit's, with a dispatcher that can keep to an order."""

    def task_dispatcher(self) -> Dispatcher:
        """The dispatcher; of a group it begins a configuration when there is room for it."""
        return Dispatcher(self.tasks, self.targets, list(dict.fromkeys(self._single(self.selected_tasks))))

    def _single(self, names: Iterable[str]) -> Iterable[str]:
        for name in names:
            task = self.tasks[name]
            if task.has_subtask:
                yield from (each for each in task.task_dep if self.tasks[each].subtask_of == name)
            yield name


class _Planned:
    """What both runners add: as soon as there is something to do, and not before, they ask for a plan."""

    plan: Callable[[Dispatcher], None] | None = None

    def run_tasks(self, task_dispatcher: Dispatcher) -> None:
        self._dispatcher = task_dispatcher
        super().run_tasks(task_dispatcher)  # type: ignore[misc]

    def select_task(self, node: Any, tasks_dict: Any) -> bool:
        selected: bool = super().select_task(node, tasks_dict)  # type: ignore[misc]
        if selected and node.task.actions and self.plan is not None:
            plan, self.plan = self.plan, None
            plan(self._dispatcher)
        return selected


class SerialRunner(_Planned, Runner):  # type: ignore[misc]
    """One task after another, in this thread."""


class ThreadRunner(_Planned, MThreadRunner):  # type: ignore[misc]
    """Several tasks at once, in threads."""
