// The filters of each kind of case: what they offer, and which rows pass.
"use strict";

(() => {
  const counted = (counts) =>
    Object.entries(counts).map(([name, count]) => [
      name,
      `${name} (${count.toLocaleString("en")})`,
    ]);

  function total(collections, field) {
    const sum = {};
    for (const collection of collections) {
      for (const [name, count] of Object.entries(collection[field] ?? {})) {
        sum[name] = (sum[name] ?? 0) + count;
      }
    }
    return sum;
  }

  const isOne = (value) => Math.abs(value - 1) < 1e-6;

  // Each filter has a name in the address and a label. `options` gives [value, label] pairs for the
  // collections at hand; `test` gives the condition on a row for a value, by an aggregation.
  const SEARCH = {
    name: "q",
    label: "Search",
    type: "search",
    test: (value) => {
      const wanted = value.toLowerCase().split(/\s+/).filter(Boolean);
      return (row) => wanted.every((word) => row.text.includes(word));
    },
  };
  const SOURCE = {
    name: "source",
    label: "Benchmark",
    any: "all",
    options: (collections) => counted(total(collections, "sources")),
    test: (value) => (row) => row.source === value,
  };
  const RELIABILITY = {
    name: "p",
    label: "Lowest reliability",
    any: "any",
    options: () =>
      ["0", "0.2", "0.3", "0.5", "0.8"].map((p) => [p, p === "0" ? "0" : `at most ${p}`]),
    test: (value) => (row) => row.reliability !== null && row.reliability <= Number(value) + 1e-9,
  };
  const FAILURE = {
    name: "failure",
    label: "Failures",
    any: "with or without",
    options: (collections) => [
      ["none", "none"],
      ["some", "some"],
      ...counted(total(collections, "failures")),
    ],
    test: (value) => {
      if (value === "none") return (row) => row.failures.length === 0;
      if (value === "some") return (row) => row.failures.length > 0;
      return (row) => row.failures.includes(value);
    },
  };

  const CHOICES = {
    right: ["right", (row, at) => isOne(row.gated[at])],
    wrong: ["wrong", (row, at) => row.gated[at] === 0],
    missed: ["wrong, though one is right", (row, at) => row.gated[at] === 0 && row.right > 0],
    tied: ["tied, partly right", (row, at) => row.gated[at] > 0 && !isOne(row.gated[at])],
  };
  const CHANGES = {
    changed: ["changed the choice", (row, at) => Boolean(row.changes[at])],
    better: ["for better", (row, at) => row.changes[at] === "better"],
    worse: ["for worse", (row, at) => row.changes[at] === "worse"],
    same: ["changed it, no better or worse", (row, at) => row.changes[at] === "same"],
    kept: ["kept the choice", (row, at) => row.changes[at] === ""],
  };
  const MISTAKES = {
    any: ["some", (row) => row.accepts + row.rejects > 0],
    accepts: ["false accepts", (row) => row.accepts > 0],
    rejects: ["false rejects", (row) => row.rejects > 0],
    none: ["none", (row) => row.accepts + row.rejects === 0],
  };
  const VERDICTS = {
    caught: ["catches a false accept", (row) => row.caught > 0],
    lost: ["turns a right step wrong", (row) => row.lost > 0],
  };

  const offer = (table) => () => Object.entries(table).map(([value, [label]]) => [value, label]);

  function among(table) {
    return (value, aggregation) => {
      const [, test] = table[value] ?? [null, () => true];
      return (row) => {
        const at = row.collection.aggregations?.indexOf(aggregation);
        return at === undefined || at < row.gated.length ? test(row, at) : false;
      };
    };
  }

  const configurationsOf = (collections) =>
    (collections[0]?.configurations ?? []).map(({ name }, index) => [String(index), name]);

  const FIELDS = {
    candidates: [
      SEARCH,
      { name: "policy", label: "Policy", options: null }, // decides the collections; see browse.js
      SOURCE,
      { name: "aggregation", label: "Aggregation", options: null },
      {
        name: "choice",
        label: "Choice with the gate",
        any: "any",
        options: offer(CHOICES),
        test: among(CHOICES),
      },
      {
        name: "gate",
        label: "The gate",
        any: "any",
        options: offer(CHANGES),
        test: among(CHANGES),
      },
      RELIABILITY,
      FAILURE,
    ],
    solutions: [
      SEARCH,
      SOURCE,
      {
        name: "solver",
        label: "Solved by",
        any: "all",
        options: (collections) => counted(total(collections, "policies")),
        test: (value) => (row) => row.policy === value,
      },
      {
        name: "mistakes",
        label: "Mistakes",
        any: "any",
        options: offer(MISTAKES),
        test: (value) => MISTAKES[value]?.[1] ?? (() => true),
      },
      {
        name: "gate",
        label: "The gate",
        any: "any",
        options: offer(VERDICTS),
        test: (value) => VERDICTS[value]?.[1] ?? (() => true),
      },
      {
        name: "ablation",
        label: "Ablations",
        any: "any",
        options: (collections) => [
          ["some", "some judge otherwise"],
          ["none", "none judges otherwise"],
          ...configurationsOf(collections),
        ],
        test: (value) => {
          if (value === "some") return (row) => row.disagreeing.length > 0;
          if (value === "none") return (row) => row.disagreeing.length === 0;
          return (row) => row.disagreeing.includes(Number(value));
        },
      },
      RELIABILITY,
      FAILURE,
    ],
  };

  const last = (value) => (value === null ? Infinity : value);
  const SORTS = {
    candidates: {
      reliability: ["lowest reliability first", (row) => last(row.reliability)],
      right: ["fewest right candidates first", (row) => row.right],
    },
    solutions: {
      reliability: ["lowest reliability first", (row) => last(row.reliability)],
      mistakes: ["most mistakes first", (row) => -(row.accepts + row.rejects)],
      ablations: ["most ablations that judge otherwise first", (row) => -row.disagreeing.length],
    },
  };

  // The rows that pass, in the order asked for; rows that are alike keep the order of the files.
  function select(kind, rows, params, aggregation) {
    const tests = FIELDS[kind]
      .filter((field) => field.test && params[field.name])
      .map((field) => field.test(params[field.name], aggregation));
    const passing = rows.filter((row) => tests.every((test) => test(row)));
    const key = SORTS[kind][params.sort]?.[1];
    if (!key) return passing;
    return passing
      .map((row, place) => ({ row, place, key: key(row) }))
      .sort((a, b) => (a.key === b.key ? a.place - b.place : a.key < b.key ? -1 : 1))
      .map(({ row }) => row);
  }

  evpv.filters = { FIELDS, SORTS, select };
})();
