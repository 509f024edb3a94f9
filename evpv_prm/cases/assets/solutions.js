// A labelled solution: its labels against the verdicts, step by step, and the ablations' verdicts.
"use strict";

(() => {
  const { h, plural } = evpv.dom;
  const { pictures, reward, look, evidence, premise, remarks, failures, meter, facts } = evpv.parts;

  const SIGN = { 1: "✓", 0: "○", [-1]: "✗" };
  const WORD = { 1: "right", 0: "neutral", [-1]: "wrong" };

  function mistake(truth, verdict) {
    if (verdict === null || verdict === undefined) return null;
    if (truth === -1 && verdict === 1) return "false accept";
    if (truth === 1 && verdict === -1) return "false reject";
    return null;
  }

  function mark(name, value, truth) {
    const known = value !== null && value !== undefined;
    const wrong = known && truth !== undefined && truth !== 0 && value !== truth;
    return h(
      `span.mark${known ? `.${WORD[value]}` : ".unknown"}${wrong ? ".mistaken" : ""}`,
      {},
      h("span.label", {}, name),
      ` ${known ? `${SIGN[value]} ${WORD[value]}` : "? not known"}`,
    );
  }

  function otherwise(data, configurations, index) {
    const found = configurations
      .filter(
        ({ name, reference }) => reference && data.ablations[name] && data.ablations[reference],
      )
      .map(({ name, reference }) => {
        const runs = data.ablations[name].map((run) => run[index]);
        const usual = data.ablations[reference].map((run) => run[index]);
        return runs.some((verdict, run) => verdict !== usual[run]) ? [name, runs] : null;
      })
      .filter(Boolean);
    if (!found.length) return null;
    return h(
      "details.otherwise",
      {},
      h(
        "summary",
        {},
        `${plural(found.length, "ablation")} judge${found.length === 1 ? "s" : ""} otherwise`,
      ),
      h(
        "ul",
        {},
        found.map(([name, runs]) =>
          h("li", {}, `${name}: ${runs.map((verdict) => SIGN[verdict] ?? "?").join(" ")}`),
        ),
      ),
    );
  }

  function step(each, index, data, context) {
    const [kind, credit] = look(context.hasGate ? each : { ...each, final: each.raw });
    const verdict = mistake(each.truth, each.raw);
    const caught = verdict === "false accept" && each.gated === -1;
    const lost = each.truth === 1 && each.raw === 1 && each.gated === -1;
    return h(
      `li.step.labelled.${kind}${verdict ? ".has-mistake" : ""}`,
      { "--credit": credit },
      h("div.line", {}, h("p.text", {}, each.text), reward(each, context)),
      h(
        "p.marks",
        {},
        mark("truth", each.truth),
        mark("judged", each.raw, each.truth),
        context.hasGate && mark("gated", each.gated, each.truth),
        context.hasDirect && mark("without caption", each.direct, each.truth),
        verdict && h("span.badge.mistake", {}, verdict),
        caught && h("span.badge.better", {}, "caught by the gate"),
        lost && h("span.badge.worse", {}, "turned wrong by the gate"),
      ),
      evidence(each),
      premise(each),
      otherwise(data, context.configurations, index),
    );
  }

  function cell(runs, usual, truth, index) {
    const verdicts = runs.map((run) => run[index]);
    const right = verdicts.filter((verdict) => verdict === 1).length;
    const shown =
      verdicts.length === 1 ? (SIGN[verdicts[0]] ?? "?") : `${right}/${verdicts.length}`;
    const differs = usual && verdicts.some((verdict, run) => verdict !== usual[run]?.[index]);
    const mistaken = truth !== 0 && verdicts.some((verdict) => verdict !== truth);
    const said = verdicts.map((verdict) => WORD[verdict] ?? "not known").join(", ");
    const compared = differs ? "; otherwise than the one that it is compared with" : "";
    const title = `Step ${index + 1}: ${said}${compared}`;
    return h(
      `td${mistaken ? ".mistaken" : ".agrees"}${differs ? ".differs" : ""}`,
      { title },
      shown,
    );
  }

  function matrix(data, configurations) {
    const known = configurations.filter(({ name }) => data.ablations[name]);
    if (!known.length) return null;
    const line = ({ name, reference, differs_in: change }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        data.steps.map((each, index) =>
          cell(data.ablations[name], data.ablations[reference], each.truth, index),
        ),
        h("td.change", {}, change),
      );
    return h(
      "section.ablations",
      {},
      h("h3", {}, "Ablations"),
      h(
        "p.hint",
        {},
        "A cell is a verdict. Coloured: not what the label says. " +
          "Framed: otherwise than the configuration that it is compared with.",
      ),
      h(
        "div.scroll",
        { tabindex: "0", role: "region", "aria-label": "Verdicts of the ablations" },
        h(
          "table.matrix",
          {},
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "col" }, "Configuration"),
              data.steps.map((_, index) => h("th", { scope: "col" }, index + 1)),
              h("th.change", { scope: "col" }, "What it changes"),
            ),
          ),
          h(
            "tbody",
            {},
            h(
              "tr.truth",
              {},
              h("th", { scope: "row" }, "truth"),
              data.steps.map((each) => h("td", {}, SIGN[each.truth])),
              h("td.change"),
            ),
            known.map(line),
          ),
        ),
      ),
    );
  }

  function caption(said) {
    if (!said) return null;
    const list = (name, entries) =>
      entries?.length > 0 && [
        h("h4", {}, name),
        h(
          "ul",
          {},
          entries.map((entry) => h("li", {}, entry)),
        ),
      ];
    return h(
      "details.description",
      { open: true },
      h("summary", {}, "What the verifier sees"),
      h("p", {}, said.caption),
      list("Key facts", said.key_facts),
      list("Uncertain", said.uncertain),
    );
  }

  function verdict(row) {
    const { accepts, rejects, caught, lost } = row;
    const parts = [
      accepts && plural(accepts, "false accept"),
      rejects && plural(rejects, "false reject"),
    ].filter(Boolean);
    const gate = [
      caught && `catches ${caught} of the false accepts`,
      lost && `turns ${plural(lost, "right step")} wrong`,
    ].filter(Boolean);
    return h(
      "p.verdict",
      {},
      h(`span.change.${parts.length ? "worse" : "better"}`, {}, parts.join(", ") || "No mistake"),
      ` in ${plural(row.steps, "step")}. `,
      gate.length > 0 && `The gate ${gate.join(" and ")}.`,
    );
  }

  function show(row, data) {
    const { configurations = [] } = row.collection;
    const context = {
      configurations,
      hasGate: data.reliability !== null || data.steps.some((each) => each.final !== null),
      hasDirect: data.steps.some((each) => each.direct !== null),
    };
    return [
      verdict(row),
      h(
        "div.top.two",
        {},
        pictures(data.images),
        h(
          "div.question",
          {},
          h("p.asked", {}, data.question),
          facts([
            ["Answer", data.answer && h("strong", {}, data.answer)],
            ["Solved by", data.policy],
            [
              "Reliability",
              context.hasGate &&
                (data.steps.some((each) => each.premise)
                  ? meter(data.reliability)
                  : "no visual premise"),
            ],
          ]),
          caption(data.caption),
        ),
      ),
      h(
        "ol.steps.wide",
        {},
        data.steps.map((each, index) => step(each, index, data, context)),
      ),
      remarks(data),
      failures(data.failures),
      matrix(data, configurations),
    ];
  }

  function summary(row) {
    return [
      row.accepts > 0 && h("span.outcome.wrong", {}, plural(row.accepts, "false accept")),
      row.rejects > 0 && h("span.outcome.tied", {}, plural(row.rejects, "false reject")),
      row.accepts + row.rejects === 0 && h("span.outcome.right", {}, "no mistake"),
      row.caught > 0 && h("span.change.better", {}, `gate catches ${row.caught}`),
      row.lost > 0 && h("span.change.worse", {}, `gate loses ${row.lost}`),
      h("span", {}, plural(row.steps, "step")),
      row.disagreeing.length > 0 &&
        h("span", {}, `${plural(row.disagreeing.length, "ablation")} differ`),
    ];
  }

  evpv.solutions = { show, summary };
})();
