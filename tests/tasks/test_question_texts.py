"""The text of plan, why, status and diff, each as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnmake.engine.explain import Difference, Lines, changed_lines
from finnmake.tasks.diff_sides import Figure, Sides
from finnmake.tasks.diff_text import diff_text
from finnmake.tasks.plan_text import duration, plan_text
from finnmake.tasks.planning import Plan, Planned, PlannedStep
from finnmake.tasks.reasons import Reason, StepReason
from finnmake.tasks.standing import FOLLOWS, FRESH, STALE
from finnmake.tasks.status_rows import Row
from finnmake.tasks.status_text import status_text
from finnmake.tasks.why_text import why_text

DATA = Path(__file__).parent / "data"

STEPS = (
    PlannedStep("step_tidy_up", "from the store"),
    PlannedStep("step_streamline", "from the store"),
    PlannedStep("tick", "run", seconds=1.5),
    PlannedStep("step_a", "unknown", "tick", seconds=100.0),
    PlannedStep("step_b", "unknown", "tick"),
)

SHARED = (
    PlannedStep("tick", "run", shared=True, seconds=1.5),
    PlannedStep("step_b", "unknown", "tick", True),
)


def golden(name: str, text: str) -> None:
    assert text == (DATA / name).read_text()


def test_plan() -> None:
    stale = ("preprocess:config_001", "finn:config_001")
    plan = Plan(
        (
            Planned("config_001", stale, ("metrics:config_001", "build:config_001"), STEPS),
            Planned("config_002", ("finn:config_002",), (), SHARED),
            Planned(
                "config_003", ("finn:config_003",), (), (), "models/x.onnx: it is gone\n  -> Bring it back."
            ),
        ),
        up_to_date=5,
        simulated=False,
    )
    golden("plan.txt", plan_text(plan, everything=False))
    assert plan_text(plan, everything=True).count("step_") == 5


def test_plan_of_nothing() -> None:
    assert plan_text(Plan((), 8, False), False) == "nothing to do: everything is up to date\n"


def test_plan_of_many_and_of_the_mock() -> None:
    planned = tuple(Planned(f"config_{at:03}", (f"finn:config_{at:03}",), (), SHARED) for at in range(30))
    text = plan_text(Plan(planned, 0, True), everything=False)
    assert "and 20 more (--all shows them)\n" in text
    assert text.endswith(
        "30 of 30 configurations not up to date (simulated)\n0 steps run, 0 come from the store (simulated)\n"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (9.994, "9.99 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


EDITED = Difference(
    "file", "plugins/lutram.py", "a" * 64, "b" * 64, tuple(changed_lines("a\nb\nc\nd\n", "a\nB\nC\nd\ne\n"))
)

EVERY_KIND = (
    Difference("record", "never", known=False),
    Difference("record", "unsteady", known=False),
    Difference("record", "ended", "FAILED", "step_x: it broke"),
    EDITED,
    Difference("file", "plugins/cut.py", "a" * 64, "b" * 64, (Lines(3, 2, ("gone",), ()),)),
    Difference("file", "data/weights.npz", "a" * 64, "b" * 64),
    Difference("file", "data/new.txt", None, "b" * 64),
    Difference("file", "data/gone.txt", "a" * 64, None),
    Difference("folder", "data", "a" * 64, "b" * 64, known=False),
    Difference("presence", "data/x", "missing", "file 12"),
    Difference("field", "synth_clk_period_ns", 5.0, 4.0),
    Difference("field", "target_fps", None, 100),
    Difference("fields", "*", ["a", "b"], ["b", "c"]),
    Difference("output", "builds/x/config_001/final_model.onnx", "as it was left", "touched"),
    Difference("toolchain", "packages.numpy", "1.26.4", "2.0.0"),
    Difference("toolchain", "finnmake", "a" * 64, "b" * 64),
    Difference("toolchain", "contents.qonnx", "a" * 64, "b" * 64),
    Difference("toolchain", "", known=False),
    Difference("step", "step 4", ["old_step"], None),
    Difference("step", "steps 5 to 6", None, ["one", "two(bits=4)"]),
    Difference("configuration", "output_stage", "estimates", "rtl"),
    Difference("modules", "", known=False),
    Difference("dependency", "plugins/more.py", None, "used"),
    Difference("paths", "of the store and of Python", ["/a"], ["/b"]),
    Difference("result", "step_x", known=False),
    Difference("model", "step_w", known=False),
    Difference("trace", "step_x", known=False),
)


def test_why_of_every_kind_of_reason() -> None:
    reason = Reason("finn:config_001", STALE, EVERY_KIND)
    golden("why_kinds.txt", why_text("finn:config_001", [reason], everything=True))
    short = why_text("finn:config_001", [reason], everything=False)
    assert "  and 15 more (--all shows them)\n" in short


def test_why_down_a_chain() -> None:
    step = StepReason("small_weights", 11, 13, (EDITED, Difference("field", "max_bits", 1, 2)))
    chain = [
        Reason("preprocess:config_001", STALE, (EDITED,)),
        Reason("finn:config_001", STALE, (EDITED,), ("preprocess:config_001",), step),
        Reason("metrics:config_001", FOLLOWS, (), ("finn:config_001",)),
        Reason("build:config_001", FOLLOWS, (), ("finn:config_001", "metrics:config_001")),
    ]
    golden("why_chain.txt", why_text("build:config_001", chain, everything=False))


def test_why_of_what_was_never_built() -> None:
    never = (Difference("record", "never", known=False),)
    unlike = (Difference("field", "target_fps", 10, 20),)
    chain = [Reason("finn:config_004", STALE, never, near="config_003", unlike=unlike)]
    golden("why_never.txt", why_text("finn:config_004", chain, everything=False))


def test_why_of_what_is_up_to_date() -> None:
    uses = tuple(f"models/{at:02}.onnx" for at in range(14))
    text = why_text("finn:config_001", [Reason("finn:config_001", FRESH, uses=uses)], everything=False)
    assert text.startswith("finn:config_001 is up to date\n  it uses models/00.onnx\n")
    assert text.endswith("  it uses 2 more files (--all shows them)\n")


ROWS = [
    Row("config_001", "built", 30.0, {"throughput": 48828.1, "latency": 32.64, "lut_utilization": 0.021}),
    Row("config_002", "stale", 3700.0, {"throughput": 1.0}, stale="finn:config_002", simulated=True),
    Row("config_003", "failed", 200000.0, {}, message="step_streamline: it broke\x1b[31m"),
    Row("config_004", "never"),
]


def test_status() -> None:
    golden("status.txt", status_text(ROWS, 110, everything=False))


def test_status_of_many() -> None:
    many = [Row(f"config_{at:04}", "built", 1.0) for at in range(1000)] + ROWS[1:]
    lines = status_text(many, 110, everything=False).splitlines()
    assert lines[0] == "1,003 configurations: 1,000 built, 1 stale, 1 failed, 1 never"
    assert [line.split()[0] for line in lines[1:]] == ["config_002", "config_003", "config_004", "and"]
    assert len(status_text(many, 110, everything=True).splitlines()) == 1004


def test_status_of_nothing() -> None:
    assert status_text([], 110, everything=False) == "no configurations\n"


def sides(**changed: object) -> Sides:
    none = dict.fromkeys(("configuration", "inputs", "steps", "toolchain", "outputs"), ())
    same = {
        "left": "config_001",
        "right": "config_002",
        "simulated": (False, False),
        "differences": none,
        "parted": 3,
        "steps": (3, 3),
        "metrics": [Figure("throughput", 100.0, 100.0)],
        "layers": {"MVAU_0": [Figure("LUT", 5.0, 5.0)]},
    }
    return Sides(**{**same, **changed})


def test_diff_of_the_same() -> None:
    assert sides().same
    golden("diff_same.txt", diff_text(sides(), everything=False))
    assert "MVAU_0" in diff_text(sides(), everything=True)


def test_diff() -> None:
    differences = {
        "configuration": [Difference("field", "synth_clk_period_ns", 5.0, 10.0)],
        "inputs": [EDITED],
        "steps": [Difference("made", "step 2, step_x", known=False)],
        "toolchain": [Difference("toolchain", "packages.numpy", "1", "2")],
        "outputs": [Difference("file", "report/x.json", "a" * 64, "b" * 64)],
    }
    different = sides(
        simulated=(False, True),
        differences=differences,
        parted=1,
        metrics=[
            Figure("throughput", 48828.0, 97656.0),
            Figure("lut_utilization", 0.02, 0.03),
            Figure("latency", 3.2, None),
            Figure("clock_frequency", 200.0, 200.0),
        ],
        layers={
            "MVAU_0": [Figure("LUT", 1000.0, 2500.0), Figure("cycles", 64.0, 32.0)],
            "MVAU_1": [Figure("LUT", 5.0, 5.0), Figure("DSP", None, 2.0)],
        },
    )
    assert not different.same
    golden("diff.txt", diff_text(different, everything=False))


@pytest.mark.parametrize(
    ("left", "right", "ratio"), [(2.0, 3.0, 1.5), (0.0, 3.0, None), (None, 3.0, None), (3.0, None, None)]
)
def test_ratios(left: float | None, right: float | None, ratio: float | None) -> None:
    assert Figure("x", left, right).ratio == ratio
