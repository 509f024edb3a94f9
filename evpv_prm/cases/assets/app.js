// From the address to what is shown, and the keyboard.
"use strict";

(() => {
  const { h, replace, plural } = evpv.dom;
  const { parse, format, caseAddress } = evpv.state;
  const byId = (id) => document.getElementById(id);
  const { collections, aggregation: usual, note } = evpv.data.about();
  const NAMES = { candidates: "Candidates", solutions: "Labelled solutions" };
  const kinds = Object.keys(NAMES).filter((kind) => collections.some((each) => each.kind === kind));

  let view = null; // the address, and what follows from it
  let rows = []; // those that pass the filters, in order
  let shown = null; // the row of the case on the page
  let lastShown = null; // for the focus, back in the list

  // An address may name what is not there (any more): the first of what there is takes its place.
  function resolve() {
    const state = parse(location.hash);
    const kind = kinds.includes(state.kind) ? state.kind : kinds[0];
    const all = collections.filter((each) => each.kind === kind);
    const find = (name) => all.find((each) => each.name === name);
    const own = find(state.policy) ?? find(state.params.policy) ?? all[0];
    // From a case the way leads to the list that it is in.
    const params =
      state.policy && !state.params.policy && own !== all[0]
        ? { ...state.params, policy: own.name }
        : state.params;
    const shows = params.policy === "*" ? all : [own];
    const aggregations = own.aggregations ?? [];
    const known = (name) => aggregations.includes(name);
    const aggregation = [params.aggregation, usual, aggregations[0]].find(known);
    return {
      kind,
      pid: state.pid,
      of: state.policy ?? own.name, // whose case it is
      params,
      policy: shows.length > 1 ? "*" : own.name, // what the list shows
      all,
      collections: shows,
      aggregations,
      aggregation,
    };
  }

  function go(changes, { keepPage = false, replaces = false } = {}) {
    const params = changes === null ? {} : { ...view.params, ...changes };
    if (!keepPage) delete params.page;
    const address = format({ kind: view.kind, params });
    // A word that is being typed is one step in the history, not one a letter.
    if (replaces) history.replaceState(null, "", address);
    else if (address !== location.hash) history.pushState(null, "", address);
    route();
  }

  function change(changes, keepPage = false) {
    go(changes, { keepPage, replaces: Boolean(changes && "q" in changes && view.params.q) });
  }

  function route() {
    view = resolve();
    replace(
      byId("kinds"),
      kinds.map((kind) =>
        h(
          "a",
          { href: format({ kind }), "aria-current": kind === view.kind ? "page" : null },
          NAMES[kind],
        ),
      ),
    );
    evpv.browse.form(view, change);
    for (const each of view.collections) evpv.data.open(each, update).catch(fail);
    update();
  }

  function update() {
    const read = view.collections.flatMap((each) => each.rows);
    rows = evpv.filters.select(view.kind, read, view.params, view.aggregation);
    const isCase = view.pid !== null;
    byId("browse").hidden = isCase;
    byId("case").hidden = !isCase;
    if (isCase) showCase(read);
    else showList();
  }

  function showList() {
    shown = null;
    document.title = NAMES[view.kind];
    evpv.browse.list(view, rows, change);
    if (lastShown) {
      byId("results")
        .querySelector(`[data-pid="${CSS.escape(lastShown.pid)}"]`)
        ?.focus();
      lastShown = null;
    }
  }

  function showCase(read) {
    const row = read.find((each) => each.pid === view.pid && each.collection.name === view.of);
    if (!row) {
      const isRead = view.collections.every((each) => each.isRead);
      replace(
        byId("case"),
        bar(null),
        h(
          "p.message",
          { role: "status" },
          isRead ? `There is no case ${view.pid} here.` : "Reading…",
        ),
      );
      return;
    }
    const key = `${row.collection.path}/${row.pid}/${view.aggregation}`;
    if (shown?.key === key) {
      byId("case").querySelector(".bar").replaceWith(bar(row)); // more rows are there now
      return;
    }
    const isNew = shown?.row !== row;
    shown = { row, key };
    evpv.data.caseOf(row).then((data) => {
      if (shown?.key === key) draw(row, data, isNew);
    }, fail);
  }

  function draw(row, data, isNew) {
    document.title = `${row.pid} · ${row.source}`;
    const context = {
      aggregation: view.aggregation,
      pick: (name) => location.replace(caseAddress(row, { ...view.params, aggregation: name })),
    };
    const title = h("h2", { tabindex: "-1" }, h("span.source", {}, row.source), ` ${row.pid}`);
    replace(byId("case"), bar(row), title, evpv[view.kind].show(row, data, context));
    if (isNew) {
      window.scrollTo(0, 0);
      title.focus({ preventScroll: true });
    }
  }

  function bar(row) {
    const at = row ? rows.indexOf(row) : -1;
    const step = (label, key, other) =>
      h(
        other ? "a.button" : "span.button.off",
        other
          ? { href: caseAddress(other, view.params), "aria-keyshortcuts": key }
          : { "aria-disabled": "true" },
        label,
      );
    return h(
      "nav.bar",
      { "aria-label": "Cases" },
      h(
        "a.button",
        { href: format({ kind: view.kind, params: view.params }), "aria-keyshortcuts": "u" },
        "← List",
      ),
      row && step("Previous", "k", rows[at - 1]),
      row && step("Next", "j", at < 0 ? undefined : rows[at + 1]),
      row &&
        h(
          "span.place",
          {},
          at < 0
            ? "not among the filtered cases"
            : `${(at + 1).toLocaleString("en")} of ${plural(rows.length, "case")}`,
        ),
      row && h("button", { type: "button", onclick: copyLink }, "Copy link"),
    );
  }

  async function copyLink(event) {
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy it from the address bar";
    }
  }

  function fail(error) {
    const text = `${error.message}. Is the folder whole?`;
    replace(byId(view.pid === null ? "results" : "case"), h("p.message", { role: "alert" }, text));
  }

  function move(by) {
    if (view.pid !== null) {
      const next = rows[rows.indexOf(shown?.row) + by];
      if (next) location.hash = caseAddress(next, view.params);
      return;
    }
    const links = [...byId("results").querySelectorAll("a.row")];
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }

  function turn(by) {
    const page = Number(view.params.page ?? 1) + by;
    const count = Math.ceil(rows.length / evpv.browse.ROWS);
    if (view.pid === null && page >= 1 && page <= count)
      change({ page: page === 1 ? "" : String(page) }, true);
  }

  function leave() {
    if (view.pid === null) return;
    lastShown = shown?.row ?? null;
    const at = rows.indexOf(shown?.row);
    const page = at < 0 ? 1 : Math.floor(at / evpv.browse.ROWS) + 1;
    go({ page: page === 1 ? "" : String(page) }, { keepPage: true });
  }

  function search() {
    if (view.pid !== null) leave();
    byId("filter-q").focus();
    byId("filter-q").select();
  }

  function nextAggregation() {
    const { aggregations, aggregation } = view;
    if (aggregations.length < 2) return;
    const name = aggregations[(aggregations.indexOf(aggregation) + 1) % aggregations.length];
    if (shown) location.replace(caseAddress(shown.row, { ...view.params, aggregation: name }));
    else change({ aggregation: name });
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    u: leave,
    Escape: leave,
    n: () => turn(1),
    p: () => turn(-1),
    "/": search,
    a: nextAggregation,
    r: () => change(null),
    "?": () => byId("help").showModal(),
  };

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
      return;
    if (event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  byId("note").hidden = !note;
  byId("note").textContent = note ?? "";
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says what is shown, and is not for places on the page
    byId("main").focus();
  });
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", route);
  route();
})();
