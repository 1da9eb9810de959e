// The list of lines: only those in sight are in the page, however many there are.

const ROW = 30; // the height of a line

class List {
  constructor(id, choose, redraw) {
    this.id = id;
    this.lines = [];
    this.room = attributes(make("div"), { role: "presentation" });
    this.node = make("div", "list", this.room);
    attributes(this.node, { role: "listbox", "aria-label": "Actions and calls", tabindex: 0 });
    this.sticks = true; // to the end, until somebody scrolls away from it
    this.node.addEventListener("scroll", () => {
      this.sticks = this.node.scrollTop + this.node.clientHeight >= this.room.offsetHeight - ROW;
      redraw();
    });
    // At the press, because the line may be drawn anew before the release, and then there is no click; a click also
    // comes alone, from a screen reader.
    const pick = (event) => {
      const row = event.target.closest(".row");
      if (row && row.dataset.to && !event.button) choose(Number(row.dataset.to));
    };
    this.node.addEventListener("mousedown", pick);
    this.node.addEventListener("click", pick);
  }

  // `current` is the step that is shown; `reveal`: scroll to it.
  paint(lines, current, { live, reveal, empty }) {
    this.lines = lines;
    const chosen = lineOf(lines, current);
    this.room.style.height = `${lines.length * ROW}px`;
    if (live && (this.sticks || reveal)) this.node.scrollTop = lines.length * ROW;
    else if (reveal && chosen >= 0) this.reveal(chosen);
    const { clientHeight } = this.node;
    // A list that has become shorter is scrolled to its new end only after this frame.
    const top = Math.min(this.node.scrollTop, Math.max(0, lines.length * ROW - clientHeight));
    const from = Math.max(0, Math.floor(top / ROW) - 3);
    const to = Math.min(lines.length, Math.ceil((top + clientHeight) / ROW) + 3);
    const rows = [];
    for (let i = from; i < to; i++) rows.push(this.row(i, i === chosen, !live && lines[i].from > current));
    this.room.replaceChildren(...(rows.length ? rows : [make("div", "empty", empty)]));
    if (chosen >= from && chosen < to) this.node.setAttribute("aria-activedescendant", this.rowId(chosen));
    else this.node.removeAttribute("aria-activedescendant");
  }

  // What was saved with the notebook, while there is no kernel to tell more.
  paintSaved(last) {
    this.lines = last.map(([kinds, count]) => ({
      kinds: kinds.map(([label, detail, , shape, tone]) => ({ label, detail, mark: shape, tone })),
      count,
    }));
    this.room.style.height = `${this.lines.length * ROW}px`;
    const rows = this.lines.map((_, index) => this.row(index, false, false));
    this.room.replaceChildren(...(rows.length ? rows : [make("div", "empty", "Run the cell to see what happens.")]));
  }

  reveal(index) {
    const { scrollTop, clientHeight } = this.node;
    if (index * ROW < scrollTop) this.node.scrollTop = index * ROW;
    if ((index + 1) * ROW > scrollTop + clientHeight) this.node.scrollTop = (index + 1) * ROW - clientHeight;
  }

  rowId(index) {
    return `${this.id}-row-${this.lines[index].from ?? index}`;
  }

  row(index, chosen, later) {
    const { kinds, count, to, at } = this.lines[index];
    const row = make("div", later ? "row later" : "row");
    row.style.top = `${index * ROW}px`;
    if (to) row.dataset.to = to;
    attributes(row, { id: this.rowId(index), role: "option", "aria-selected": chosen });
    attributes(row, { "aria-setsize": this.lines.length, "aria-posinset": index + 1 });
    const label = make("span", "label", kinds.map((kind) => kind.label).join(" · "));
    if (kinds.length === 1 && kinds[0].detail) label.append(make("span", "what", kinds[0].detail));
    row.title = kinds.map((kind) => `${kind.label} ${kind.detail}`.trim()).join(", ");
    row.append(mark(kinds[0]), label);
    if (count) row.append(make("span", "times", `× ${count}`));
    if (at !== undefined) row.append(make("span", "at", span(at)));
    return row;
  }
}
