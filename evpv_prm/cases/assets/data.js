// Reading the files beside the page. A page that was opened from disk may load scripts only, so
// each file is a script that hands its content over with `evpv.data.add(NAME, VALUE)`.
"use strict";
window.evpv = {};

(() => {
  const CHUNKS_KEPT = 24;
  const delivered = new Map(); // values by name, until somebody takes them
  const chunks = new Map(); // promises of chunks by name, the latest used last

  function add(name, value) {
    delivered.set(name, value);
  }

  function load(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${name.split("/").map(encodeURIComponent).join("/")}.js`;
      script.onload = () => {
        const value = delivered.get(name);
        delivered.delete(name);
        script.remove();
        if (value === undefined) reject(new Error(`${name}.js holds something else`));
        else resolve(value);
      };
      script.onerror = () => {
        script.remove();
        reject(new Error(`${name}.js cannot be read`));
      };
      document.head.append(script);
    });
  }

  function chunk(name) {
    const found = chunks.get(name) ?? load(name);
    found.catch(() => chunks.delete(name)); // the next look at it tries again
    chunks.delete(name);
    chunks.set(name, found);
    if (chunks.size > CHUNKS_KEPT) chunks.delete(chunks.keys().next().value);
    return found;
  }

  // A collection's rows, read once; `onRows` is called whenever more are there.
  function open(collection, onRows) {
    collection.rows ??= [];
    collection.reading ??= read(collection, onRows);
    return collection.reading;
  }

  async function read(collection, onRows) {
    for (let number = 0; number < collection.indexes; number += 1) {
      const rows = await load(`${collection.path}/index-${number}`);
      for (const row of rows) {
        row.collection = collection;
        row.text = [row.pid, row.question, row.answer, row.policy ?? ""].join("\n").toLowerCase();
        collection.rows.push(row);
      }
      onRows();
    }
    collection.isRead = true;
    onRows();
  }

  async function caseOf(row) {
    const [number, place] = row.at;
    const cases = await chunk(`${row.collection.path}/chunk-${number}`);
    return cases[place];
  }

  evpv.data = { add, open, caseOf, about: () => delivered.get("collections") };
})();
