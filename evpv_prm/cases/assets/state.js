// What the page shows, as its address: #/candidates?source=X, #/candidates/POLICY/PID?source=X,
// #/solutions?…, #/solutions/PID?…. The address is the only place where this is kept.
"use strict";

(() => {
  const KINDS = ["candidates", "solutions"];

  // `params` holds the filters that are set; `policy` and `pid` name a case, if one is shown.
  function parse(hash) {
    const [path, query = ""] = split(hash.replace(/^#\/?/, ""));
    const parts = path.split("/").map(decode);
    const kind = KINDS.includes(parts[0]) ? parts[0] : null;
    const isCase = kind !== null && parts.length > (kind === "candidates" ? 2 : 1);
    return {
      kind,
      policy: isCase && kind === "candidates" ? parts[1] : null,
      pid: isCase ? parts.slice(kind === "candidates" ? 2 : 1).join("/") : null,
      params: Object.fromEntries(new URLSearchParams(query)),
    };
  }

  function format({ kind, policy = null, pid = null, params = {} }) {
    const parts = [kind, ...(pid === null ? [] : policy === null ? [pid] : [policy, pid])];
    const set = Object.entries(params).filter(([, value]) => value !== "" && value !== undefined);
    const query = new URLSearchParams(set).toString();
    return `#/${parts.map(encodeURIComponent).join("/")}${query && `?${query}`}`;
  }

  // A row's own address, with the filters that it was found by.
  function caseAddress(row, params) {
    const { kind, name } = row.collection;
    return format({ kind, policy: kind === "candidates" ? name : null, pid: row.pid, params });
  }

  function split(text) {
    const at = text.indexOf("?");
    return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
  }

  function decode(part) {
    try {
      return decodeURIComponent(part);
    } catch {
      return part; // an address that somebody cut short
    }
  }

  evpv.state = { parse, format, caseAddress };
})();
