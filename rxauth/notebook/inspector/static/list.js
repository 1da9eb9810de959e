// The list of lines: only those in sight are in the page, however many there are.

const ROW = 30; // the height of a line

class List {
  // `press`: what happens to a line that is pressed.
  constructor(id, press, redraw) {
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
      const line = row && this.lines[Number(row.dataset.index)];
      if (line?.from && !event.button) press(line);
    };
    this.node.addEventListener("mousedown", (event) => event.detail < 2 && pick(event)); // a double click is one
    this.node.addEventListener("click", (event) => event.detail || pick(event));
  }

  // `current` is the step that is shown; `reveal`: scroll to it.
  paint(lines, current, { live, reveal, empty }) {
    this.lines = lines;
    const chosen = lineOf(lines, current);
    this.room.style.height = `${lines.length * ROW}px`;
    if (live && (this.sticks || reveal)) this.node.scrollTop = lines.length * ROW;
    else if (reveal && chosen >= 0) this.reveal(chosen);
    else this.stay();
    const { clientHeight } = this.node;
    // A list that has become shorter is scrolled to its new end only after this frame.
    const top = Math.min(this.node.scrollTop, Math.max(0, lines.length * ROW - clientHeight));
    const from = Math.max(0, Math.floor(top / ROW) - 3);
    const to = Math.min(lines.length, Math.ceil((top + clientHeight) / ROW) + 3);
    const rows = [];
    for (let i = from; i < to; i++) rows.push(this.row(i, i === chosen, !live && lines[i].from > current));
    this.keep(top);
    const fold = this.lines[Math.floor(top / ROW)]?.fold;
    if (fold) rows.push(this.pinned(fold, top));
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

  // The line at the top, so that it is found again when lines before it have come or gone.
  keep(top) {
    const index = Math.floor(top / ROW), line = this.lines[index];
    this.top = line && { number: line.open ? line.from : line.to, head: Boolean(line.open), past: top - index * ROW };
    this.seen = this.node.scrollTop;
  }

  // Where the user has left it, whatever has become of the lines above.
  stay() {
    if (!this.top || this.node.scrollTop !== this.seen) return; // or it was scrolled since
    const index = lineOf(this.lines, this.top.number);
    if (index >= 0) this.node.scrollTop = (index - (this.top.head && this.lines[index].fold ? 1 : 0)) * ROW + this.top.past;
  }

  // The head of the fold in sight, at the top while its steps pass below: for the mouse alone, it is in the list.
  pinned(fold, top) {
    const index = this.lines.indexOf(fold), row = this.row(index, false, false);
    row.classList.add("pinned");
    row.style.top = `${top}px`;
    for (const name of ["id", "role", "aria-selected", "aria-setsize", "aria-posinset"]) row.removeAttribute(name);
    row.setAttribute("aria-hidden", "true");
    return row;
  }

  reveal(index) {
    const { scrollTop, clientHeight } = this.node;
    const above = this.lines[index].fold ? ROW : 0; // a pinned head may lie there
    if (index * ROW - above < scrollTop) this.node.scrollTop = index * ROW - above;
    if ((index + 1) * ROW > scrollTop + clientHeight) this.node.scrollTop = (index + 1) * ROW - clientHeight;
  }

  rowId(index) {
    const { from, open } = this.lines[index];
    return `${this.id}-${open ? "fold" : "row"}-${from ?? index}`;
  }

  row(index, chosen, later) {
    const { kinds, count, last, at, open, fold } = this.lines[index];
    const row = make("div", `row${later ? " later" : ""}${fold ? " child" : ""}${open ? " open" : ""}`);
    row.style.top = `${index * ROW}px`;
    row.dataset.index = index;
    attributes(row, { id: this.rowId(index), role: "option", "aria-selected": chosen });
    attributes(row, { "aria-setsize": this.lines.length, "aria-posinset": index + 1 });
    const label = make("span", "label", kinds.map((kind) => kind.label).join(" · "));
    if (kinds.length === 1 && kinds[0].detail) label.append(" ", make("span", "what", kinds[0].detail));
    row.title = kinds.map((kind) => `${kind.label} ${kind.detail}`.trim()).join(", ");
    row.append(mark(kinds[0]), label);
    if (count) row.append(this.badge(count, last, open));
    if (at !== undefined) row.append(make("span", "at", span(at)));
    return row;
  }

  // How often, and (in a list that is not a saved one) whether it is open: an option of a listbox has no such state.
  badge(count, last, open) {
    const badge = make("span", "times", `× ${count}`);
    if (!last) return badge;
    badge.classList.add("folds");
    return attributes(badge, { role: "img", "aria-label": `× ${count}, ${open ? "open" : "folded"}` });
  }
}
