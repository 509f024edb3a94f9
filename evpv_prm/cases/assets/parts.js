// What questions and labelled solutions have in common: pictures, rewards, premises, findings.
"use strict";

(() => {
  const { h, number, words } = evpv.dom;
  let tips = 0;

  function picture(image, index, count) {
    const name = count > 1 ? `Image ${index + 1} of ${count}` : "Image";
    if (!image.file) return h("p.message", {}, `${name}: ${words(image.failure)}`);
    const { file, width, height } = image;
    const shown = h("img", { src: file, width, height, alt: `${name} of the question` });
    return h(
      "button.picture",
      { type: "button", title: "Show larger", onclick: () => zoom(image, name) },
      shown,
      count > 1 && h("span.caption", {}, name),
    );
  }

  function pictures(images) {
    return h(
      "div.pictures",
      {},
      images.map((image, index) => picture(image, index, images.length)),
    );
  }

  function zoom(image, name) {
    const dialog = document.getElementById("zoom");
    const shown = dialog.querySelector("img");
    shown.src = image.file;
    shown.alt = `${name} of the question, larger`;
    dialog.showModal();
  }

  function thumbnail(image) {
    if (!image?.file) return h("span.thumbnail.missing", { "aria-hidden": "true" }, "no image");
    return h("img.thumbnail", { src: image.file, alt: "", loading: "lazy", decoding: "async" });
  }

  // The look of a step's reward: its class, and how much of the colour of a right step it has.
  function look(step) {
    if (step.raw === null || step.raw === undefined) return ["unknown", 0];
    if (step.raw === -1) return ["wrong", 0];
    if (step.final === null) return ["unknown", 0];
    return ["right", step.final];
  }

  const isGated = (step) => step.premise !== null && step.raw === 1;

  function explanation(step, hasGate) {
    const judged =
      { 1: "Judged right (1)", [-1]: "Judged wrong (−1)" }[step.raw] ??
      "Not judged: the judge failed";
    const lines = [
      step.probability === null ? judged : `${judged}, p(right) = ${number(step.probability, 3)}`,
    ];
    if (!hasGate) lines.push("No gate here");
    else if (step.raw === -1) lines.push("A wrong step stays −1");
    else if (step.raw === 1 && step.final === null)
      lines.push("Reward not known: the audit failed");
    else if (isGated(step)) lines.push(`Visual step, gated to p = ${number(step.final)}`);
    else if (step.raw === 1) lines.push("No visual premise: worth 1");
    return lines;
  }

  // A reward with its explanation, on hover and on focus.
  function reward(step, { hasGate = true } = {}) {
    const [kind, credit] = look(step);
    const value = hasGate ? step.final : step.raw;
    const id = `tip-${(tips += 1)}`;
    const shown = value === null || value === undefined ? "?" : number(value);
    const lines = explanation(step, hasGate);
    return h(
      "span.tipped",
      {},
      h(
        `button.reward.${kind}${isGated(step) ? ".gated" : ""}`,
        {
          type: "button",
          "aria-describedby": id,
          "aria-label": `Reward ${shown}`,
          "--credit": credit,
        },
        shown,
      ),
      h(
        "span.tip",
        { role: "tooltip", id },
        lines.map((line) => h("span", {}, line)),
      ),
    );
  }

  const STATUS = {
    supported: ["✓", "supported"],
    contradicted: ["✗", "contradicted"],
    unclear: ["?", "unclear"],
    unaudited: ["–", "not audited"],
  };

  // What the judge says that the step should say, before its verdict.
  function evidence(step) {
    return step.evidence && h("p.evidence", {}, step.evidence);
  }

  function premise(step) {
    if (!step.premise) return null;
    const { fact, status, seen, findings } = step.premise;
    const [sign, label] = STATUS[status];
    // A check mostly quotes what the fact or a finding says anyway.
    const isNews = seen && seen !== fact && findings.every((each) => each.reason !== seen);
    const severities = findings.map((each) => each.severity).filter(Boolean);
    return h(
      `div.premise.${status}`,
      {},
      h("span.sign", { "aria-hidden": "true" }, sign),
      h(
        "div",
        {},
        h("span.fact", {}, fact),
        " ",
        h("span.status", {}, severities.length ? `${label} (${severities.join(", ")})` : label),
        isNews && h("p.seen", {}, seen),
        findings.map((finding) => h("p.reason", {}, finding.reason)),
      ),
    );
  }

  // What the auditor says that belongs to no single step.
  function remarks(audited) {
    return [
      audited.findings.length > 0 &&
        h(
          "div.remarks",
          {},
          h("h4", {}, "Findings that fit no single fact"),
          h(
            "ul",
            {},
            audited.findings.map((each) =>
              h(
                "li",
                {},
                `${each.statement} `,
                h("span.status", {}, `(${each.severity})`),
                h("p.reason", {}, each.reason),
              ),
            ),
          ),
        ),
      audited.omissions.length > 0 &&
        h(
          "details.remarks",
          {},
          h("summary", {}, `Omissions (${audited.omissions.length}), which cost nothing`),
          h(
            "ul",
            {},
            audited.omissions.map((each) => h("li", {}, each)),
          ),
        ),
    ];
  }

  function failures(list) {
    if (!list.length) return null;
    return h("p.failures", {}, h("strong", {}, "Failures: "), list.join(", "));
  }

  function meter(reliability) {
    if (reliability === null) return h("span.meter.unknown", {}, "p not known");
    return h(
      "span.meter",
      { title: "Reliability of the visual facts" },
      h("span.bar", { "--p": reliability, "aria-hidden": "true" }),
      ` p = ${number(reliability)}`,
    );
  }

  function facts(list) {
    return h(
      "dl.facts",
      {},
      list
        .filter(([, value]) => value)
        .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    );
  }

  evpv.parts = {
    ...{ pictures, thumbnail, reward, look, evidence, premise },
    ...{ remarks, failures, meter, facts },
  };
})();
