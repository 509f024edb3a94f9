// Building elements. Texts of models reach the page as text nodes alone, never as HTML.
"use strict";

(() => {
  // h("p.some.classes", {attributes}, ...children): children are nodes, texts, lists or null.
  function h(what, attributes = {}, ...children) {
    const [tag, ...classes] = what.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name.startsWith("--")) element.style.setProperty(name, value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    append(element, children);
    return element;
  }

  function append(element, children) {
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) element.append(child);
    }
    return element;
  }

  function replace(element, ...children) {
    element.replaceChildren();
    return append(element, children);
  }

  function number(value, digits = 2) {
    if (value === null || value === undefined) return "–";
    return String(Number(value.toFixed(digits))).replace("-", "−");
  }

  function words(name) {
    return name.replaceAll("_", " ");
  }

  function plural(count, noun) {
    return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
  }

  evpv.dom = { h, replace, number, words, plural };
})();
