// A question with its candidates side by side, and which of them is chosen.
"use strict";

(() => {
  const { h, number, words, plural } = evpv.dom;
  const { pictures, reward, look, evidence, premise, remarks, failures, meter, facts } = evpv.parts;

  function chip(view, index) {
    const name = `${index + 1} ${view.right ? "✓" : "✗"}`;
    const label = `Candidate ${index + 1}, ${view.right ? "right" : "wrong"}`;
    return h(
      `button.chip.${view.right ? "right" : "wrong"}`,
      {
        type: "button",
        "aria-label": label,
        onclick: () => document.getElementById(`candidate-${index + 1}`).focus(),
      },
      name,
    );
  }

  const isSame = (a, b) => a.length === b.length && a.every((value, index) => value === b[index]);

  function named(candidates, chosen) {
    const right = chosen.filter((index) => candidates[index].right).length;
    const numbers = chosen.map((index) => index + 1).join(", ");
    const who = `candidate${chosen.length > 1 ? "s" : ""} ${numbers}`;
    const how =
      right === chosen.length
        ? "right"
        : right === 0
          ? "wrong"
          : `${right} of ${chosen.length} right`;
    return `${who} (${how})`;
  }

  // One sentence that says what the gate did.
  function verdict(data, row, aggregation) {
    if (data.error)
      return h("p.verdict", {}, `No candidates: ${words(data.error)}. ${data.detail ?? ""}`);
    const choice = data.choices[aggregation];
    const change = row.changes[row.collection.aggregations.indexOf(aggregation)];
    const by = words(aggregation);
    const before = named(data.candidates, choice.raw_chosen);
    const after = named(data.candidates, choice.gated_chosen);
    const isOne = choice.gated_chosen.length === 1;
    if (!change) {
      return h(
        "p.verdict",
        {},
        h("span.change.kept", {}, "Choice kept"),
        ` By ${by}, ${after} ${isOne ? "is" : "are"} chosen, with and without the gate.`,
      );
    }
    const [label] = {
      better: ["Changed for better"],
      worse: ["Changed for worse"],
      same: ["Changed, no better or worse"],
    }[change];
    return h(
      "p.verdict",
      {},
      h(`span.change.${change}`, {}, label),
      ` By ${by}, the gate moves the choice from ${before} to ${after}.`,
    );
  }

  function choices(data, aggregation, pick) {
    const line = ([name, choice]) =>
      h(
        `tr${name === aggregation ? ".current" : ""}`,
        {},
        h(
          "th",
          { scope: "row" },
          h(
            "button.link",
            {
              type: "button",
              "aria-pressed": String(name === aggregation),
              onclick: () => pick(name),
            },
            words(name),
          ),
        ),
        h(
          "td",
          {},
          choice.raw_chosen.map((index) => chip(data.candidates[index], index)),
        ),
        h(
          `td${isSame(choice.raw_chosen, choice.gated_chosen) ? "" : ".changed"}`,
          {},
          choice.gated_chosen.map((index) => chip(data.candidates[index], index)),
        ),
      );
    return h(
      "table.choices",
      {},
      h("caption", {}, "Chosen candidates"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Aggregation"),
          h("th", { scope: "col" }, "Without gate"),
          h("th", { scope: "col" }, "With gate"),
        ),
      ),
      h("tbody", {}, Object.entries(data.choices).map(line)),
    );
  }

  function step(each) {
    const [kind, credit] = look(each);
    return h(
      `li.step.${kind}`,
      { "--credit": credit },
      h("div.line", {}, h("p.text", {}, each.text), reward(each)),
      evidence(each),
      premise(each),
    );
  }

  function candidate(view, index, choice) {
    const chosen = [
      choice?.gated_chosen.includes(index) && h("span.badge.chosen", {}, "chosen with gate"),
      choice?.raw_chosen.includes(index) && h("span.badge", {}, "chosen without gate"),
    ];
    const title = h(
      "h3",
      {},
      h("span.ordinal", {}, `Candidate ${index + 1}`),
      h(`span.outcome.${view.right ? "right" : "wrong"}`, {}, view.right ? "✓ right" : "✗ wrong"),
    );
    const card = h(
      `section.candidate${choice?.gated_chosen.includes(index) ? ".is-chosen" : ""}`,
      { id: `candidate-${index + 1}`, tabindex: "-1", "aria-label": `Candidate ${index + 1}` },
      title,
      h("p.badges", {}, chosen),
    );
    if (view.error) {
      card.append(
        h(
          "p.failures",
          {},
          h("strong", {}, `Failed: ${words(view.error)}`),
          view.detail && ` – ${view.detail}`,
        ),
        view.output
          ? h("details", {}, h("summary", {}, "What the model said"), h("pre", {}, view.output))
          : "",
      );
      return card;
    }
    const scores =
      choice &&
      h(
        "span.scores",
        { title: "Score by the aggregation" },
        `score ${number(choice.raw_scores[index])} → ${number(choice.gated_scores[index])}`,
      );
    card.append(
      h("p.answer", {}, h("span.label", {}, "Answer "), h("strong", {}, view.answer)),
      h(
        "p.numbers",
        {},
        view.steps.some((each) => each.premise)
          ? meter(view.reliability)
          : h("span.meter", {}, "no visual premise"),
        scores,
      ),
      h("ol.steps", {}, view.steps.map(step)),
      ...remarks(view).filter(Boolean),
      failures(view.failures) ?? "",
    );
    return card;
  }

  function show(row, data, { aggregation, pick }) {
    const choice = data.choices[aggregation];
    return [
      verdict(data, row, aggregation),
      h(
        "div.top",
        {},
        pictures(data.images),
        h(
          "div.question",
          {},
          h("p.asked", {}, data.question),
          data.options &&
            h(
              "ol.options",
              {},
              data.options.map((option) => h("li", {}, option)),
            ),
          facts([
            ["Answer", h("strong", {}, data.answer)],
            [
              "Right",
              data.candidates.length
                ? `${row.right} of ${plural(row.candidates, "candidate")}`
                : "",
            ],
            ["Policy", row.collection.name],
          ]),
          data.description &&
            h(
              "details.description",
              { open: true },
              h("summary", {}, "What the verifier sees"),
              h("p", {}, data.description),
            ),
        ),
        data.candidates.length > 0 && choices(data, aggregation, pick),
      ),
      h(
        "div.candidates",
        {},
        data.candidates.map((view, index) => candidate(view, index, choice)),
      ),
    ];
  }

  function summary(row, aggregation) {
    const at = row.collection.aggregations.indexOf(aggregation);
    const accuracy = row.gated[at];
    const change = row.changes[at];
    const outcome =
      accuracy === undefined
        ? ["unknown", "not scored"]
        : accuracy > 1 - 1e-6
          ? ["right", "✓ chosen right"]
          : accuracy === 0
            ? ["wrong", "✗ chosen wrong"]
            : ["tied", `${Math.round(100 * accuracy)} % right`];
    return [
      h(`span.outcome.${outcome[0]}`, {}, outcome[1]),
      change &&
        h(
          `span.change.${change}`,
          {},
          { better: "gate: for better", worse: "gate: for worse", same: "gate: changed" }[change],
        ),
      row.candidates > 0 && h("span", {}, `${row.right}/${row.candidates} right`),
    ];
  }

  evpv.candidates = { show, summary };
})();
