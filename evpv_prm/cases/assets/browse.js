// The list of cases and its filters.
"use strict";

(() => {
  const { h, replace, number, words, plural } = evpv.dom;
  const { FIELDS, SORTS } = evpv.filters;
  const { thumbnail } = evpv.parts;
  const ROWS = 40;
  let drawn = ""; // what the form was made for
  let listed = ""; // what the list shows

  const byId = (id) => document.getElementById(id);

  function choose(name, label, options, value, onchange) {
    const select = h(
      "select",
      { id: `filter-${name}`, name, onchange },
      options.map(([key, text]) => h("option", { value: key }, text)),
    );
    select.value = value;
    if (select.selectedIndex < 0) select.selectedIndex = 0; // an address may name what is not there
    return h("div.field", {}, h("label", { for: `filter-${name}` }, label), select);
  }

  function control(field, view, change) {
    const value = view.params[field.name] ?? "";
    const set = (event) => change({ [field.name]: event.target.value });
    if (field.type === "search") {
      const input = h("input", {
        type: "search",
        id: `filter-${field.name}`,
        name: field.name,
        placeholder: "words of question, answer, name",
        "aria-keyshortcuts": "/",
        oninput: set,
      });
      input.value = value;
      return h(
        "div.field.search",
        {},
        h("label", { for: `filter-${field.name}` }, field.label),
        input,
      );
    }
    if (field.name === "policy") {
      const names = view.all.map(({ name }) => [name, name]);
      if (names.length < 2) return null;
      return choose("policy", field.label, [...names, ["*", "all"]], view.policy, set);
    }
    if (field.name === "aggregation") {
      return choose(
        "aggregation",
        field.label,
        view.aggregations.map((name) => [name, words(name)]),
        view.aggregation,
        set,
      );
    }
    const options = field.options(view.collections);
    return choose(field.name, field.label, [["", field.any], ...options], value, set);
  }

  // The form is made anew for another kind or policy; else only its values follow the address, so
  // that the focus stays where it is.
  function form(view, change) {
    const key = JSON.stringify([view.kind, view.policy]);
    const element = byId("filters");
    if (key !== drawn) {
      const sorts = Object.entries(SORTS[view.kind]).map(([name, [label]]) => [name, label]);
      replace(
        element,
        FIELDS[view.kind].map((field) => control(field, view, change)),
        choose(
          "sort",
          "Order",
          [["", "as in the files"], ...sorts],
          view.params.sort ?? "",
          (event) => change({ sort: event.target.value }),
        ),
        h(
          "button",
          { type: "button", id: "reset", "aria-keyshortcuts": "r", onclick: () => change(null) },
          "Clear filters",
        ),
      );
      element.onsubmit = (event) => event.preventDefault();
      drawn = key;
      return;
    }
    const derived = { policy: view.policy, aggregation: view.aggregation };
    for (const each of element.querySelectorAll("select, input")) {
      const value = derived[each.name] ?? view.params[each.name] ?? "";
      if (each.value !== value) each.value = value;
      if (each.tagName === "SELECT" && each.selectedIndex < 0) each.selectedIndex = 0;
    }
  }

  function line(row, view) {
    const show = evpv[view.kind];
    return h(
      "li",
      {},
      h(
        "a.row",
        { href: evpv.state.caseAddress(row, view.params), "data-pid": row.pid },
        thumbnail(row.image),
        h(
          "span.words",
          {},
          h("span.asked", {}, row.question),
          h(
            "span.about",
            {},
            [
              row.source,
              row.policy ?? (view.collections.length > 1 ? row.collection.name : null),
              row.pid,
            ]
              .filter(Boolean)
              .join(" · "),
          ),
        ),
        h(
          "span.signs",
          {},
          show.summary(row, view.aggregation),
          row.reliability !== null && h("span", {}, `lowest p ${number(row.reliability)}`),
          row.failures.length > 0 && h("span.outcome.unknown", {}, "failures"),
        ),
      ),
    );
  }

  function pages(view, rows, change) {
    const count = Math.max(1, Math.ceil(rows.length / ROWS));
    const page = pageOf(view, rows);
    const turn = (name, to) =>
      h(
        "button",
        {
          type: "button",
          disabled: to < 1 || to > count,
          onclick: () => change({ page: to === 1 ? "" : String(to) }, true),
        },
        name,
      );
    replace(
      byId("pages"),
      count > 1 && [
        turn("Previous page", page - 1),
        h("span", {}, `Page ${page} of ${count}`),
        turn("Next page", page + 1),
      ],
    );
  }

  function pageOf(view, rows) {
    const count = Math.max(1, Math.ceil(rows.length / ROWS));
    return Math.min(count, Math.max(1, Number.parseInt(view.params.page ?? "1", 10) || 1));
  }

  function list(view, rows, change) {
    const read = view.collections.reduce((sum, each) => sum + each.rows.length, 0);
    const all = view.collections.reduce((sum, each) => sum + each.cases, 0);
    const found =
      rows.length === all
        ? plural(all, "case")
        : `${rows.length.toLocaleString("en")} of ${plural(all, "case")}`;
    byId("count").textContent =
      read < all ? `${found}, ${read.toLocaleString("en")} read so far…` : found;
    const start = (pageOf(view, rows) - 1) * ROWS;
    const seen = rows.slice(start, start + ROWS);
    // While the index is read, what is in sight mostly stays: the focus may be in it.
    const key = JSON.stringify([
      view.params,
      view.aggregation,
      seen.map((row) => [row.collection.path, row.pid]),
    ]);
    if (key !== listed || seen.length === 0) {
      listed = key;
      replace(
        byId("results"),
        seen.map((row) => line(row, view)),
      );
      if (seen.length === 0 && read === all)
        byId("results").append(h("li.message", {}, "No case passes all filters."));
    }
    pages(view, rows, change);
  }

  evpv.browse = { form, list, ROWS };
})();
