// What the keys do: arrows, Home and End step, Enter opens a fold or closes it, space plays, "/" filters, Escape goes
// back to live.

// What a key does, null for what it does anyway.
function meaning(inspector, event) {
  const { key, target } = event, { field, list, detail } = inspector;
  if (key === "Escape") {
    return target === field && inspector.filter ? () => inspector.setFilter("") : () => inspector.leave();
  }
  if (target === field) return key === "ArrowDown" || key === "Enter" ? () => list.node.focus() : null;
  if (key === "/") return () => field.focus();
  if (target.getAttribute("role") === "tab") return detail.key(event);
  if (target.tagName === "BUTTON") return null;
  if (key === " ") return () => inspector.play();
  if (target === inspector.overview.slider) return sliderKey(inspector, key);
  return target === detail.panel ? null : listKey(inspector, key);
}

function sliderKey(inspector, key) {
  const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[key];
  if (steps) return () => inspector.slide(inspector.current() + steps);
  if (key === "Home") return () => inspector.slide(inspector.firstShown());
  return key === "End" ? () => inspector.slide(inspector.rows.last) : null;
}

function listKey(inspector, key) {
  const { lines } = inspector, here = lineOf(lines, inspector.current());
  if (key === "Enter") return here < 0 ? null : () => inspector.toggle(lines[here]);
  const from = here < 0 ? lines.length : here;
  const to = {
    ArrowDown: from + 1, ArrowRight: from + 1, PageDown: from + 10, End: lines.length - 1,
    ArrowUp: from - 1, ArrowLeft: from - 1, PageUp: from - 10, Home: 0,
  }[key];
  return to === undefined ? null : () => inspector.slideLine(to, to < from ? -1 : 1);
}
