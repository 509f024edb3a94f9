"""What the page is told of each case; `assets/` reads these shapes.

A collection holds the cases of one policy, or all labelled solutions. It has an index with a row a
case, for lists and filters, and the cases themselves in chunks, which the page loads on demand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict

SOLUTIONS = "VisualProcessBench"
"""The name of the labelled solutions, and of their pictures."""

Kind = Literal["candidates", "solutions"]

Status = Literal["supported", "contradicted", "unclear", "unaudited"]
"""What an audit says of one visual fact; see `premises.read_audit`."""

Change = Literal["", "better", "worse", "same"]
"""What the gate did to a choice: nothing, or changed it, with more, less or equal accuracy."""


class Picture(TypedDict, total=False):
    """An image as the page shows it: its file and size in pixels, or why there is none."""

    file: str
    width: int
    height: int
    failure: str


class Finding(TypedDict):
    """An error that the auditor names, with the correction or reason and its severity."""

    statement: str
    reason: str
    severity: str


class Premise(TypedDict):
    """The visual fact behind a step, and what the audit says of it.

    `seen` is what the audit's check of the fact quotes as true, None where it made none.
    """

    fact: str
    status: Status
    seen: str | None
    findings: Sequence[Finding]


class Step(TypedDict):
    """One step: the judge's verdict (1, -1), p of "1", the gated reward; None where not known.

    `evidence` is what the judge says that the step should say, None where it gave none.
    """

    text: str
    raw: float | None
    probability: float | None
    evidence: str | None
    final: float | None
    premise: Premise | None


class Audited(TypedDict):
    """What is known of the visual facts of a candidate or a solution.

    `reliability` is p in [0, 1]; `findings` are those that fit no single fact.
    """

    reliability: float | None
    findings: Sequence[Finding]
    omissions: Sequence[str]


class CandidateView(Audited):
    """One candidate. `error`, `detail` and `output` are those of one that could not be made."""

    answer: str | None
    right: bool
    error: str | None
    detail: str
    output: str
    steps: list[Step]
    failures: list[str]


class Choice(TypedDict):
    """How one aggregation ranks the candidates, by raw and by gated step scores.

    `…_scores` are the candidates' scores, None for one without; `…_chosen` the indices of those
    that the choice falls on, each alike.
    """

    raw_scores: list[float | None]
    gated_scores: list[float | None]
    raw_chosen: list[int]
    gated_chosen: list[int]


class CandidateCase(TypedDict):
    """A question and its candidates; `error` is why it has none."""

    pid: str
    source: str
    question: str
    answer: str
    options: list[str] | None
    images: list[Picture]
    error: str | None
    detail: str | None
    description: str | None
    choices: dict[str, Choice]
    candidates: list[CandidateView]


class SolutionStep(Step):
    """One labelled step: `truth` is 1, 0 (neutral) or -1.

    `gated` is the verdict of the gated reward; `direct` that of the judge without a caption, with
    its p of "1". None where not known.
    """

    truth: int
    gated: int | None
    direct: int | None
    direct_probability: float | None


class SolutionCase(Audited):
    """A labelled solution. `ablations` are the verdicts of each configuration, run by run."""

    pid: str
    source: str
    policy: str
    question: str
    answer: str | None
    images: list[Picture]
    caption: dict[str, Any] | None
    steps: list[SolutionStep]
    failures: list[str]
    ablations: dict[str, list[list[int | None]]]


class Row(TypedDict):
    """One case in the index. `at` is its chunk and its place there, from 0.

    `reliability` is the lowest p of visual facts that were audited, None if none was; `failures`
    are the reasons, each once.
    """

    at: tuple[int, int]
    pid: str
    source: str
    question: str
    answer: str
    image: Picture | None
    reliability: float | None
    failures: list[str]


class CandidateRow(Row):
    """The row of a question. `right` of `candidates` have the right answer.

    By aggregation, in the collection's order: `raw` and `gated` are the accuracy of the choice in
    [0, 1], and `changes` what the gate did to it.
    """

    candidates: int
    right: int
    raw: list[float]
    gated: list[float]
    changes: list[Change]


class SolutionRow(Row):
    """The row of a labelled solution, with counts of its steps.

    `accepts` and `rejects` are false accepts and false rejects of the ungated verdicts; `caught`
    and `lost` the false accepts that the gate turns into rejects and the right steps that it turns
    into false ones; `disagreeing` the indices of the collection's configurations that judge some
    step otherwise than the one that they are compared with.
    """

    policy: str
    steps: int
    accepts: int
    rejects: int
    caught: int
    lost: int
    disagreeing: list[int]


class Configuration(TypedDict):
    """One configuration of the ablation suite, and the one that it is compared with."""

    name: str
    group: str
    differs_in: str
    reference: str | None


class Collection(TypedDict, total=False):
    """A collection, as `collection.json` describes it.

    `path` is that of its folder beside the page, `indexes` the number of its index files. `sources`
    and `failures` count cases by benchmark and by reason. `aggregations` are those of candidates;
    `policies` (with counts) and `configurations` those of solutions.
    """

    kind: Kind
    name: str
    path: str
    cases: int
    indexes: int
    sources: dict[str, int]
    failures: dict[str, int]
    aggregations: list[str]
    policies: dict[str, int]
    configurations: list[Configuration]
