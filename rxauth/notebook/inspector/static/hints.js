// What the marks of the line of time mean, and which step is under the mouse.

const MEANINGS = [
  ["dot", "busy", "waits for the token"], ["triangle", "busy", "refresh or sign-in begins"],
  ["dot", "good", "new token"], ["square", "call", "request sent"], ["ring", "call", "answered"],
  ["dot", "call", "call begins"], ["ring", "good", "went well"], ["cross", "bad", "failed"],
  ["dot", "plain", "action or value"], ["ring", "plain", "ended or changed"],
];

// A line for each kind of mark that there is.
class Legend {
  constructor() {
    this.node = attributes(make("ul", "legend"), { "aria-label": "Legend" });
  }

  paint(kinds, silences) {
    const used = new Set(kinds.map((kind) => `${kind.mark} ${kind.tone}`));
    const found = MEANINGS.filter(([shape, tone]) => used.has(`${shape} ${tone}`));
    const shown = `${found.map((one) => one[2])}${silences}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const items = found.map(([shape, tone, words]) => make("li", "", mark({ mark: shape, tone }), words));
    if (silences) items.push(make("li", "", make("span", "silence"), "a silence, shortened"));
    this.node.replaceChildren(...items);
    this.node.hidden = !items.length;
  }
}

// A few words beside the mouse. A screen reader has the slider, which says the same.
class Tip {
  constructor() {
    this.node = attributes(make("div", "tip"), { "aria-hidden": "true" });
    this.node.hidden = true;
  }

  show(words, x, y, width) {
    this.node.hidden = !words;
    if (!words) return;
    say(this.node, words);
    this.node.style.left = `${Math.max(0, Math.min(x + 12, width - this.node.offsetWidth))}px`;
    this.node.style.top = `${y - this.node.offsetHeight - 10}px`;
  }
}
