// Small things to build a page with. These files are one module, put together by rxauth.notebook.inspector.

const icon = (path) => `<svg viewBox="0 0 14 14" aria-hidden="true" stroke="none"><path d="${path}"/></svg>`;
const ICONS = {
  pause: icon("M3 2h3v10H3zM8 2h3v10H8z"),
  play: icon("M3 1.5 12 7 3 12.5z"),
  first: icon("M2 2h2v10H2zM12 2v10L5 7z"),
  back: icon("M4 2v10H2.5V2zM12 2v10L6 7z"),
  forward: icon("M10 2v10h1.5V2zM2 2v10l6-5z"),
};
const MARKS = {
  dot: '<circle cx="7" cy="7" r="4.5"/>',
  ring: '<circle cx="7" cy="7" r="3.7" fill="none" stroke-width="2"/>',
  square: '<rect x="3" y="3" width="8" height="8" stroke="none"/>',
  triangle: '<path d="M7 2.5 12 11H2z" stroke="none"/>',
  cross: '<path d="M3 3l8 8M11 3l-8 8" stroke-width="2.4"/>',
};
const SIGNS = { good: "✓", busy: "↻", bad: "✕", idle: "–" };

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function mark(kind) {
  const node = make("span");
  node.innerHTML = `<svg viewBox="0 0 14 14" aria-hidden="true">${MARKS[kind.mark] || MARKS.dot}</svg>`;
  node.firstChild.classList.add(kind.tone);
  return node.firstChild;
}

// A button with a text, or with a picture that `label` names.
function button(label, act, picture) {
  const node = make("button");
  node.type = "button";
  node.addEventListener("click", act);
  name(node, label, picture);
  return node;
}

function name(node, label, picture) {
  if (node.dataset.label === label) return;
  node.dataset.label = node.title = label;
  if (picture) node.innerHTML = picture;
  else node.textContent = label;
  if (picture) node.setAttribute("aria-label", label);
}

// Nothing is touched that stays as it is: a screen reader may be reading it.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function attributes(node, values) {
  for (const [key, value] of Object.entries(values)) {
    if (node.getAttribute(key) !== String(value)) node.setAttribute(key, value);
  }
  return node;
}

function plural(number, words) {
  return `${number} ${words}${number === 1 ? "" : "s"}`;
}

function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(2)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// The host's theme, "light" or "dark", now and whenever it changes; returns how to stop.
function watchTheme(tell) {
  const wish = window.matchMedia("(prefers-color-scheme: dark)");
  const nodes = [document.body, document.documentElement];
  const is = (theme) => nodes.some(({ classList: has }) => has.contains(theme) || has.contains(`${theme}-theme`));
  const theme = () => {
    const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
    if (jpThemeLight) return jpThemeLight === "false" ? "dark" : "light";
    if (vscodeThemeKind) return /dark|contrast$/.test(vscodeThemeKind) ? "dark" : "light";
    if (is("dark")) return "dark";
    return is("light") || !wish.matches ? "light" : "dark";
  };
  const look = () => tell(theme());
  const watching = new MutationObserver(look);
  for (const node of nodes) watching.observe(node, { attributes: true });
  wish.addEventListener("change", look);
  look();
  return () => {
    watching.disconnect();
    wish.removeEventListener("change", look);
  };
}
