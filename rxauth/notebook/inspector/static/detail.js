// What one step changed, the state after it, and the action itself: three tabs.

const TABS = ["diff", "state", "action"];
const HEADINGS = { diff: "What this step changed", state: "The state after this step", action: "What was recorded" };

class Detail {
  constructor(id) {
    this.tab = "diff";
    this.step = null;
    this.tabs = TABS.map((tab) => {
      const node = button(tab[0].toUpperCase() + tab.slice(1), () => this.show(tab));
      return attributes(node, { role: "tab", id: `${id}-${tab}`, "aria-controls": `${id}-panel` });
    });
    const tabs = attributes(make("div", "tabs", ...this.tabs), { role: "tablist", "aria-label": "Details" });
    this.panel = attributes(make("div", "panel"), { role: "tabpanel", id: `${id}-panel`, tabindex: 0 });
    this.heading = make("span", "name");
    const head = make("div", "head", this.heading, make("span", "grow"), tabs);
    this.node = make("div", "detail", head, this.panel);
    this.paint(null);
  }

  show(tab) {
    this.tab = tab;
    this.paint(this.step, this.instead);
  }

  // `instead` is said when there is no step to show.
  paint(step, instead = "") {
    this.step = step;
    this.instead = instead;
    say(this.heading, HEADINGS[this.tab]);
    for (const node of this.tabs) {
      const chosen = node.id.endsWith(`-${this.tab}`);
      attributes(node, { "aria-selected": chosen, tabindex: chosen ? 0 : -1 });
      if (chosen) this.panel.setAttribute("aria-labelledby", node.id);
    }
    const shown = JSON.stringify([this.tab, step, instead]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.panel.replaceChildren(...this.content(step));
    this.panel.scrollTop = 0;
  }

  content(step) {
    if (!step) return [make("p", "say", this.instead)];
    if (step.gone) return [make("p", "say", `Step ${step.number} is not kept any more.`)];
    const [label, detail] = step.kind;
    const nodes = [make("p", "say", `${`${label} ${detail}`.trim()} · step ${step.number} at ${span(step.at)}`)];
    if (step.note && this.tab !== "action") nodes.push(make("p", "say note", step.note));
    if (this.tab === "diff" && step.calls.some((line) => line[1] === "~")) {
      nodes.push(...lineNodes([[0, "", "calls", "", ""]]), ...lineNodes(step.calls, 1));
    }
    return [...nodes, ...lineNodes(step[this.tab])];
  }

  key(event) {
    const here = this.tabs.indexOf(event.target);
    const next = { ArrowRight: here + 1, ArrowLeft: here + 2, Home: 0, End: 2 }[event.key];
    if (next === undefined) return null;
    return () => {
      this.tabs[next % 3].focus();
      this.show(TABS[next % 3]);
    };
  }
}

// Lines as rxauth.notebook.diff makes them: depth, mark, name, text, text before.
function lineNodes(lines, deeper = 0) {
  return lines.map(([depth, change, title, text, before]) => {
    const node = make("div", change === "…" ? "line out" : "line");
    node.style.paddingLeft = `${(depth + deeper) * 16}px`;
    if (change === "…") node.append(`… ${text}`);
    else if (title) node.append(text === "" ? title : `${title}: `);
    if (change === "~") node.append(make("del", "", before), " → ", make("ins", "", text));
    else if (change === "+") node.append(make("ins", "", text));
    else if (change === "-") node.append(make("del", "", text));
    else if (change === "") node.append(text);
    return node;
  });
}
