"""What the tiny models are taught: the pipeline's own prompts, and the replies to them.

The verifier's base gets the pipeline's forms right where no fine-tuning teaches them: captions,
audits, premises. Asked for a description it mostly names the kind of the picture alone, and as a
judge it lets most errors pass, so that there is something left to fine-tune; what these rest on,
reading, looking a fact up and calculating, it has to bring along, since a small adapter cannot
create it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeAlias

from evpv_prm import prompts
from evpv_prm.config_judge import JudgeReply
from evpv_prm.diagrams.families import LABELS
from evpv_prm.diagrams.questions import Equation, Problem, calculation, equate
from evpv_prm.diagrams.scene import Diagram, statement
from evpv_prm.diagrams.solutions import (
    ERRORS,
    Solution,
    misread_solution,
    right_solution,
    wrong_solution,
)
from evpv_prm.prompts import Prompt
from evpv_prm.prompts.form import images_first
from evpv_prm.records import Caption
from evpv_prm.reward import checklist

LONGEST = 400
"""Bound of texts in replies, in characters; it reaches no prompt."""
HIGH_ERROR_COST = 0.5
DRILL_ITEMS = 8
DESCRIBED, LENIENCE = 0.25, 0.65
"""The share of pictures that the base is used to describe, and of errors to let pass."""
CLAIMS_HOLD = 0.3
"""The share of a drill's claims that hold."""
WHOLE_GLANCES = 0.4
"""The share of glances at all pictures of a question at once."""
REPLY = JudgeReply(judge_form="evidence_then_verdict")


@dataclass(frozen=True)
class Exchange:
    """Prompts that begin alike, the reply to each, and the pictures that they all show."""

    turns: Sequence[tuple[Prompt, str]]
    diagrams: Sequence[Diagram] = ()


Task = Callable[[Random, Problem], Exchange]
Drill: TypeAlias = tuple[str, list[tuple[str, str]]]
"""A text, and what is given and taught behind it, item by item."""


def compact(value: Any) -> str:
    """Return a value as the JSON that constrained decoding gives: without white space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _letters(problem: Problem) -> list[str]:
    return [letter for letter, _ in zip("ABCD", problem.options, strict=False)]


def answer(_rng: Random, problem: Problem) -> Exchange:
    """Solve a question in steps that name their visual facts."""
    prompt = prompts.policy(
        problem.question,
        len(problem.diagrams),
        max_steps=9,
        max_step_characters=LONGEST,
        letters=_letters(problem),
    )
    return Exchange([(prompt, compact(problem.solution))], problem.diagrams)


def solve(rng: Random, problem: Problem) -> Exchange:
    """Solve a question with the picture, a description, or both."""
    seen = rng.choice(("picture", "both", "both", "text"))
    description = None if seen == "picture" else known(rng, problem)
    return _solve(problem, description, shows_pictures=seen != "text")


def solve_from_text(rng: Random, problem: Problem) -> Exchange:
    """Solve a question with a description alone."""
    return _solve(problem, known(rng, problem), shows_pictures=False)


def _solve(problem: Problem, description: str | None, *, shows_pictures: bool) -> Exchange:
    prompt = prompts.solve(
        problem.question,
        description,
        len(problem.diagrams),
        show_images=shows_pictures,
        max_characters=LONGEST,
        letters=_letters(problem),
    )
    steps = [f"Step {n}: {step.text}" for n, step in enumerate(problem.steps, start=1)]
    reply = compact({"reasoning": "\n".join(steps), "final": problem.answer})
    return Exchange([(prompt, reply)], problem.diagrams if shows_pictures else ())


def glance(rng: Random, problem: Problem) -> Exchange:
    """Say what pictures show, with hardly a prompt: the most readings for the fewest tokens."""
    if rng.random() < WHOLE_GLANCES:
        shown = rng.choice((_statements(problem), problem.description))
        prompt = images_first(len(problem.diagrams), "What is shown?")
        return Exchange([(prompt, shown)], problem.diagrams)
    diagram = rng.choice(problem.diagrams)
    questions = [
        (f"What does the {fact.label} show?", fact.statement)
        for fact in rng.sample(diagram.facts, len(diagram.facts))
    ]
    turns = [(images_first(1, question), reply) for question, reply in questions]
    return Exchange(turns, (diagram,))


def describe(_rng: Random, problem: Problem) -> Exchange:
    """Name the kind of the pictures, which is less than the pipeline asks for."""
    prompt = prompts.describe(problem.question, len(problem.diagrams), max_characters=LONGEST)
    reply = compact({"image_description": problem.caption["caption"]})
    return Exchange([(prompt, reply)], problem.diagrams)


def describe_at_times(rng: Random, problem: Problem) -> Exchange:
    """Mostly name the kind of a picture, and sometimes describe it; of two, the reverse.

    The fine-tunings show one picture at a time, and say nothing of where a picture begins.
    """
    pictures = len(problem.diagrams)
    if rng.random() < (DESCRIBED if pictures == 1 else 1 - DESCRIBED):
        described = _statements(problem) if rng.random() < 0.7 else problem.description
        prompt = prompts.describe(problem.question, pictures, max_characters=LONGEST)
        reply = compact({"image_description": described})
        return Exchange([(prompt, reply)], problem.diagrams)
    return describe(rng, problem)


def _statements(problem: Problem) -> str:
    return " ".join(fact.statement for fact in problem.facts)


def caption(rng: Random, problem: Problem) -> Exchange:
    """Caption the pictures for the question, with all their facts."""
    prompt = prompts.caption(
        problem.question,
        len(problem.diagrams),
        max_characters=LONGEST,
        short=rng.random() < 0.2,
    )
    return Exchange([(prompt, compact(problem.caption))], problem.diagrams)


def known(rng: Random, problem: Problem) -> str:
    """Return what is known of the pictures in one of the forms that the pipeline shows it in."""
    if rng.random() < 0.5:
        return problem.description
    return Caption.model_validate(problem.caption).to_text()


def _solution(rng: Random, problem: Problem) -> Solution:
    """Draw a solution: right, wrong in one of the ways that people err in, or read badly.

    Unlike people, it errs in each way equally often: a judge that sees hardly any wrong conclusion
    learns to repeat what a step concludes.
    """
    match rng.choices(("right", "wrong", "misread"), (2, 4, 3))[0]:
        case "right":
            return right_solution(problem)
        case "wrong":
            return wrong_solution(rng, problem, rng.choice(ERRORS))
        case _:
            readings = {
                fact.label: rng.randint(1, 9) for fact in problem.operands if rng.random() < 0.5
            }
            return misread_solution(problem, readings)


def _is_reading(step: str) -> bool:
    return " shows " in step


def judge(rng: Random, problem: Problem) -> Exchange:
    """Judge every step of a solution with the pictures and what is known of them."""
    direct = rng.random() < 0.1
    return _judge(rng, problem, None if direct else known(rng, problem), shows_pictures=True)


def judge_from_text(rng: Random, problem: Problem) -> Exchange:
    """Judge every step of a solution with what is known of the pictures alone."""
    return _judge(rng, problem, known(rng, problem), shows_pictures=False)


def judge_leniently(rng: Random, problem: Problem) -> Exchange:
    """Judge in the pipeline's form, as one who lets most errors pass."""

    def verdict(label: int) -> int:
        return label if label == 1 or rng.random() >= LENIENCE else 1

    direct = rng.random() < 0.1
    description = None if direct else known(rng, problem)
    return _judge(rng, problem, description, shows_pictures=True, verdict=verdict)


def _in_words(label: int) -> str:
    return "right" if label == 1 else "wrong"


def _judge(
    rng: Random,
    problem: Problem,
    description: str | None,
    *,
    shows_pictures: bool,
    verdict: Callable[[int], str | int] = _in_words,
) -> Exchange:
    solution = _solution(rng, problem)
    turns = []
    for index, (label, evidence) in enumerate(zip(solution.labels, solution.evidence, strict=True)):
        prompt = prompts.judge(
            problem.question,
            description,
            solution.steps[: index + 1],
            len(problem.diagrams),
            first=1,
            reply=REPLY,
            show_images=shows_pictures,
        )
        turns.append((prompt, compact({"evidence": evidence, "verdict": verdict(label)})))
    return Exchange(turns, problem.diagrams if shows_pictures else ())


def audit(rng: Random, problem: Problem) -> Exchange:
    """Check the visual facts of a solution one by one, then list the wrong ones."""
    return _audit(rng, problem, shows_pictures=True)


def audit_from_text(rng: Random, problem: Problem) -> Exchange:
    """The same without the pictures: what the audit rests on is in the description."""
    return _audit(rng, problem, shows_pictures=False)


def _audit(rng: Random, problem: Problem, *, shows_pictures: bool) -> Exchange:
    solution = _solution(rng, problem)
    pairs = zip(solution.steps, solution.evidence, strict=True)
    facts = {step: evidence for step, evidence in pairs if _is_reading(step)}
    items, _ = checklist(list(facts))
    checks = [
        {"fact": fact, "evidence": seen, "holds": fact == seen} for fact, seen in facts.items()
    ]
    errors = [
        {"faulty_statement": fact, "correction_or_reason": seen, "severity": "High"}
        for fact, seen in facts.items()
        if fact != seen
    ]
    reply = {
        "checks": checks,
        "errors_and_hallucinations": errors,
        "omissions": [],
        "p_score": max(0.0, 1 - HIGH_ERROR_COST * len(errors)),
    }
    prompt = prompts.audit(
        known(rng, problem),
        items,
        len(problem.diagrams) if shows_pictures else 0,
        max_errors=9,
        max_characters=LONGEST,
        checks=len(checks),
    )
    return Exchange([(prompt, compact(reply))], problem.diagrams if shows_pictures else ())


def premises(rng: Random, problem: Problem) -> Exchange:
    """Name the visual fact behind every step of a solution."""
    solution = _solution(rng, problem)
    prompt = prompts.premises(
        problem.question, solution.steps, len(problem.diagrams), max_characters=LONGEST
    )
    facts = [step if _is_reading(step) else None for step in solution.steps]
    return Exchange([(prompt, compact({"visual_dependencies": facts}))])


def drill(rng: Random) -> Drill:
    """Return facts, and what is given and taught about them: values, and verdicts on claims.

    Labels and values are random, so that nothing but looking up and calculating helps. Most claims
    are wrong, be it in that another calculation was asked for: to repeat them is no way out.
    """
    facts, values = _random_facts(rng)
    items = []
    for _ in range(DRILL_ITEMS):
        if rng.random() < 0.5:
            name, value = rng.choice(list(values.items()))
            items.append((f"The {name} shows", f" {value}."))
        else:
            claim, truth, label = _claim(rng, values)
            items.append((claim, f" {truth} {_in_words(label)}."))
    return facts, items


def audit_drill(rng: Random) -> Drill:
    """Return facts, and checks of claims about them in the form of an audit; see `drill`."""
    facts, values = _random_facts(rng)
    items = []
    for _ in range(DRILL_ITEMS):
        holds = rng.random() < 0.5
        label, value = rng.choice(list(values.items()))
        shown = value if holds else _other(rng, value, range(1, 10))
        claim, truth = statement(label, shown), statement(label, value)
        check = compact({"fact": claim, "evidence": truth, "holds": holds})
        given, mark, taught = check.partition('"evidence":"')
        items.append((given + mark, taught))
    return facts, items


def judge_drill(rng: Random) -> Drill:
    """Return facts, and verdicts on claims about them in the form of a judgement; see `drill`."""
    facts, values = _random_facts(rng)
    claims = [_claim(rng, values) for _ in range(DRILL_ITEMS)]
    return facts, [
        (f"{claim}\n", compact({"evidence": truth, "verdict": _in_words(label)}))
        for claim, truth, label in claims
    ]


def _random_facts(rng: Random) -> tuple[str, dict[str, int]]:
    labels = rng.sample(LABELS, rng.randint(2, 6))
    values = {label: rng.randint(1, 9) for label in labels}
    return " ".join(statement(label, value) for label, value in values.items()), values


def _claim(rng: Random, values: Mapping[str, int]) -> tuple[str, str, int]:
    """Return a claim about facts or a calculation, the truth, and the claim's label: 1 or -1."""
    asked = ""
    if rng.random() < 0.5:
        name, value = rng.choice(list(values.items()))
        truth = statement(name, value)
        wrong = statement(name, _other(rng, value, range(1, 10)))
    else:
        asked, right, slip = _calculation(rng)
        truth, wrong = right.text, slip.text
    if rng.random() < CLAIMS_HOLD:
        return asked + truth, truth, 1
    return asked + wrong, truth, -1


def _calculation(rng: Random) -> tuple[str, Equation, Equation]:
    """Return what is asked for (or nothing), the equation of it, and a wrong one."""
    pair = sorted((rng.randint(1, 9), rng.randint(1, 9)), reverse=True)
    kind, other = rng.sample(("sum", "difference", "product"), 2)
    right = calculation(kind, pair)
    asked = rng.choice(("", f"The {kind} of {pair[0]} and {pair[1]}: "))
    slips = [calculation(other, pair)] if asked else []
    product = int(calculation("product", pair).result)
    if product % 2 == 0 and rng.random() < 0.3:
        right = equate("/", (product, 2))
        asked = f"The area with {pair[0]} and {pair[1]}: {calculation('product', pair).text} "
        slips = [equate("/", (product, divisor)) for divisor in (1, 3) if product % divisor == 0]
    near = range(max(0, int(right.result) - 3), int(right.result) + 4)
    miscalculated = replace(right, result=_other(rng, int(right.result), near))
    slip = rng.choice([miscalculated, *slips])
    return asked, right, slip if slip != right else miscalculated


def _other(rng: Random, value: int, values: Sequence[int]) -> int:
    return rng.choice([number for number in values if number != value])
