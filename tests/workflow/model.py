"""A model behind an API that answers every stage; a reply depends on its request alone."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from tests.servers import Action, Answer, Call, ScriptedServer, completion

UNUSABLE = "UNUSABLE"
"""A question that says so is answered with JSON that is no candidate."""


def digest(call: Call) -> str:
    """Return what tells two requests apart."""
    return hashlib.sha256(json.dumps(call.body, sort_keys=True).encode()).hexdigest()


def stage(call: Call) -> str:
    """Return the stage that sent a request."""
    return call.headers["X-EVPV-Stage"]


def stages(calls: Iterable[Call]) -> Counter[str]:
    """Count requests by stage."""
    return Counter(stage(call) for call in calls)


def answer(call: Call) -> Answer:
    """Answer one request, as its digest decides."""
    name = digest(call)
    draw = int(name, 16)
    match stage(call):
        case "policy":
            return completion(json.dumps({} if UNUSABLE in call.prompt else candidate(name)))
        case "describe":
            return completion(json.dumps({"image_description": f"A picture of {name[:8]}."}))
        case "audit":
            audit = {"errors_and_hallucinations": [], "omissions": [], "p_score": draw % 11 / 10}
            return completion(json.dumps(audit))
        case "caption":
            facts = [f"AB is {draw % 90} cm long.", "CD is longer than AB."]
            words = {"caption": f"A picture of {name[:8]}.", "key_facts": facts}
            return completion(json.dumps(words))
        case "teacher_describe":
            said = {"caption": f"A picture of {name[:8]}, 3 by 4.", "key_facts": []}
            return completion(json.dumps(said))
        case "solve":
            reasoning = f"Step 1: Look at {name[:8]}.\nStep 2: It is 3.14."
            return completion(json.dumps({"reasoning": reasoning, "final": "ABC"[draw % 3]}))
        case "split":
            count = call.prompt.count("\nStep ")
            premises = [f"Fact {name[n]}." if draw >> n & 1 else None for n in range(count)]
            return completion(json.dumps({"visual_dependencies": premises}))
        case "judge":
            right = (1 + draw % 99) / 100
            return evidenced(right, name) if '"evidence"' in call.prompt else judgement(right)
    raise AssertionError(f"unexpected stage {stage(call)}")


def candidate(name: str) -> dict[str, Any]:
    """Return one to three steps and a letter."""
    draw = int(name, 16)
    steps = [
        {
            "steptext": f"Step {index} of {name[:8]}.",
            "visualdependency": f"Fact {name[index]}." if draw >> index & 1 else None,
        }
        for index in range(1 + draw % 3)
    ]
    return {"reasoningprocess": steps, "finalanswer": "ABC"[draw // 3 % 3]}


def judgement(probability: float) -> Answer:
    """Return the likelier verdict with its log-probabilities."""
    tokens = [
        {"token": token, "logprob": math.log(share), "top_logprobs": []}
        for token, share in (("1", probability), ("-1", 1 - probability))
    ]
    chosen = tokens[0] if probability > 0.5 else tokens[1]
    content = [{**chosen, "top_logprobs": tokens}]
    return completion(chosen["token"], logprobs={"content": content})


def evidenced(probability: float, name: str) -> Answer:
    """Return evidence and the likelier verdict with the log-probabilities of its tokens."""
    verdict = 1 if probability > 0.5 else -1
    text = json.dumps({"evidence": f"It is {name[:8]}.", "verdict": verdict})
    start, end = text.split(f": {verdict}")
    chances = {" 1": probability, " -1": 1 - probability}
    tops = [{"token": token, "logprob": math.log(share)} for token, share in chances.items()]
    content = [
        {
            "token": token,
            "logprob": math.log(chances.get(token, 1.0)),
            "top_logprobs": tops if token in chances else [],
        }
        for token in (start, ":", f" {verdict}", end)
    ]
    return completion(text, logprobs={"content": content})


class ModelServer(ScriptedServer):
    """Serves the model. `before_answer(number)` sees the number of each request, from 1."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.before_answer: Callable[[int], None] = lambda _: None

    def reset(self) -> None:
        """Forget what has been asked."""
        self.calls.clear()
        self.peak_in_flight = 0
        self.before_answer = lambda _: None

    def _reply(self, call: Call, before: int) -> Action:
        self.before_answer(before + 1)
        return answer(call)
