// The browser's side of rxauth.notebook.inspector: it draws what the kernel sends, and asks for the details of a step.
// All that is counted, worded and replayed comes from there.

const PLAY = 350; // milliseconds for each line
const FOOT =
  "Time travel replays the reducer only: no request is sent again, no old token comes back. Secrets are redacted.";

let instances = 0;

class Inspector {
  constructor(model, el) {
    this.model = model;
    this.id = `rxi-${++instances}-${Math.random().toString(36).slice(2, 8)}`;
    this.rows = new Rows();
    this.head = null; // the newest words; null until the kernel has said something
    this.step = null; // the details of a step
    this.selected = null; // the number of a step; null is live
    this.filter = "";
    this.hidden = 0; // the view was cleared up to this step
    this.paused = this.reveal = false;
    this.lines = [];
    this.open = new Set(); // a step of each fold that is open
    this.kernel = new Kernel(model, this.id, {
      all: (message) => this.takeAll(message),
      news: (message) => this.take(message),
      step: (message) => this.takeStep(message),
      trouble: (text) => this.top.alert(text),
      changed: () => this.draw(),
    });
    this.build(el);
    this.unwatch = watchTheme((theme) => {
      this.root.dataset.theme = theme;
      this.draw();
    });
    this.listen();
    this.kernel.hello();
  }

  // -- the page ------------------------------------------------------------------------------------------------------

  build(el) {
    this.list = new List(this.id, (line) => this.press(line), () => this.draw());
    this.detail = new Detail(this.id);
    this.overview = new Overview((number) => this.slide(number));
    this.time = make("div", "time", ...this.overview.nodes, this.buildKeys());
    const body = make("div", "body", this.buildSide(), this.detail.node);
    const save = () => this.kernel.send({ type: "export" });
    this.top = new Head({ pause: () => this.pause(), clear: () => this.clear(), save });
    this.root = make("section", "rxi", make("div", "frame", ...this.top.nodes, body, this.time));
    this.root.setAttribute("data-lm-suppress-shortcuts", "true"); // or older notebooks take our keys for their own
    this.root.addEventListener("keydown", (event) => this.key(event));
    el.append(this.root);
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.root);
  }

  buildSide() {
    this.count = make("span", "soft");
    this.field = attributes(make("input"), { type: "text", placeholder: "Filter ( / )" });
    this.field.setAttribute("aria-label", "Filter by name");
    this.field.addEventListener("input", () => this.setFilter(this.field.value));
    const head = make("div", "head", make("span", "name", "Actions and calls"), this.count, this.field);
    this.older = make("p", "older");
    return make("div", "side", head, this.older, this.list.node);
  }

  buildKeys() {
    this.playButton = button("Play", () => this.play(), ICONS.play);
    const keys = [
      button("First step", () => this.slide(this.firstShown()), ICONS.first),
      button("One step back", () => this.slide(this.current() - 1), ICONS.back),
      this.playButton,
      button("One step forward", () => this.slide(this.current() + 1), ICONS.forward),
      button("Jump to live", () => this.goLive()),
    ];
    return make("div", "keys", ...keys, make("span", "foot", FOOT));
  }

  // -- the kernel ----------------------------------------------------------------------------------------------------

  listen() {
    this.onStep = () => {
      const step = this.model.get("step");
      if (step !== this.selected) step === null ? this.goLive() : this.go(step);
    };
    this.model.on("change:step", this.onStep);
    this.pulse = setInterval(() => this.draw(), 1000); // silence is no event
  }

  takeAll(message) {
    const anew = message.total < this.rows.last; // another recording, whose steps are numbered from 1
    if (anew) this.selected = null;
    if (this.paused && !anew) return this.take(message);
    this.paused = false;
    this.rows.limit = message.limit;
    this.rows.clear(message.first || message.total + 1);
    return this.take(message);
  }

  // What is paused stands still: the list, the cards and every number but that of the news.
  take(message) {
    this.head = this.paused ? { ...message, words: this.head.words } : message;
    if (!this.paused) {
      this.shown = message.total;
      this.rows.add(message);
    }
    this.root.dataset.received = Number(this.root.dataset.received || 0) + message.rows.length / 2;
  }

  takeStep(message) {
    if (message.number === this.current()) this.step = message;
    if (message.number === this.selected && message.kind) this.publish(message);
  }

  // The selected step as traits, for the other cells of the notebook.
  publish({ number, kind, at }) {
    if (this.model.get("step") === number && this.model.get("selected").number === number) return;
    this.model.set("step", number);
    this.model.set("selected", { number, label: kind[0], detail: kind[1], at });
    this.model.save_changes();
  }

  // -- what the user does --------------------------------------------------------------------------------------------

  current() {
    return this.selected ?? this.rows.last;
  }

  firstShown() {
    return Math.max(this.rows.first, this.hidden + 1);
  }

  go(number) {
    if (!this.rows.at.length) return;
    this.selected = Math.max(Math.min(number, this.rows.last), this.firstShown());
    this.reveal = true;
    this.draw();
  }

  slide(number) {
    this.stop();
    this.go(number);
  }

  // To the end of another line of the list; heads of open folds are passed by, in this direction.
  goLine(index, direction = 1) {
    let here = Math.max(Math.min(index, this.lines.length - 1), 0);
    while (this.lines[here]?.open) here += here ? direction : 1;
    if (this.lines[here]) this.go(this.lines[here].to);
  }

  slideLine(index, direction) {
    this.stop();
    this.goLine(index, direction);
  }

  // A line was clicked.
  press(line) {
    if (line.count) this.toggle(line);
    else this.go(line.to);
  }

  // Open this fold and go to its last step, or close it, or the one that this step is in.
  toggle(line) {
    const fold = line.fold || line;
    if (!fold.count) return;
    this.stop();
    if (!fold.open) {
      this.open.add(fold.last);
      this.go(fold.last);
      return;
    }
    for (const number of this.open) if (fold.from <= number && number <= fold.last) this.open.delete(number);
    this.reveal = this.selected !== null;
    this.draw();
  }

  goLive() {
    this.stop();
    this.selected = null;
    this.reveal = true;
    if (this.model.get("step") !== null) {
      this.model.set("step", null);
      this.model.set("selected", {});
      this.model.save_changes();
    }
    this.draw();
  }

  play() {
    if (this.playing) return this.stop();
    if (this.selected === null) this.go(this.firstShown());
    this.playing = setInterval(() => {
      const next = this.lines.findIndex((line) => !line.open && line.to > this.current());
      if (next < 0) this.goLive();
      else this.goLine(next);
    }, PLAY);
    return this.draw();
  }

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    this.draw();
  }

  pause() {
    this.paused = !this.paused;
    if (!this.paused) this.kernel.hello(); // for what came meanwhile
    this.draw();
  }

  clear() {
    this.hidden = this.rows.last;
    this.goLive();
  }

  setFilter(text) {
    this.field.value = text;
    this.filter = text.trim().toLowerCase();
    this.reveal = true;
    this.draw();
  }

  key(event) {
    event.stopPropagation();
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const act = meaning(this, event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  leave() {
    this.goLive();
    this.list.node.focus();
  }

  // -- drawing: at most once for each frame of the screen ------------------------------------------------------------

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    const saved = this.model.get("snapshot") || {};
    const head = this.head || (saved.words ? saved : null);
    const back = this.selected !== null && this.step?.number === this.selected && this.step.words;
    this.paintHead(head, saved);
    if (head) this.top.cards(back || head.words);
    this.paintList(saved);
    this.paintDetail();
    this.overview.paint(this.rows, this.firstShown(), this.current(), this.selected === null);
    name(this.playButton, this.playing ? "Stop" : "Play", this.playing ? ICONS.pause : ICONS.play);
    if (this.head && this.rows.at.length && this.step?.number !== this.current()) {
      this.kernel.inquire(this.current(), this.selected === null);
    }
    this.announce();
  }

  // For whoever waits for a step to be on the screen.
  announce() {
    const shown = this.step && this.step.number === this.current() ? this.step.number : "";
    Object.assign(this.root.dataset, { last: this.rows.last, step: shown });
    this.root.dispatchEvent(new CustomEvent("rxauth-drawn", { detail: this.rows.last, bubbles: true, composed: true }));
  }

  paintHead(head, saved) {
    this.root.setAttribute("aria-label", `Inspector of ${head ? head.title : "rxauth"}`);
    this.time.hidden = !this.head;
    for (const node of this.root.querySelectorAll("button, input")) node.disabled = !this.head;
    const words = this.head?.note ? [`${this.head.note}.`] : [];
    if (this.hidden) words.push(`This view was cleared up to step ${this.hidden}; the recording keeps all.`);
    if (this.head?.missed) words.push(`${this.head.missed} events came too fast to be read, and were dropped.`);
    const { title = "rxauth", subtitle = "" } = head || {};
    this.top.paint({ title, subtitle, mode: this.mode(saved), words: words.join(" "), paused: this.paused });
  }

  // Its tone, and in words.
  mode(saved) {
    if (!this.head) return saved.words ? ["idle", `not live: as of ${saved.as_of}`] : ["idle", "no word from a kernel"];
    if (this.kernel.isSilent()) return ["idle", "not live: the kernel is busy or gone"];
    if (this.selected !== null) {
      const gone = this.selected < this.rows.first ? ", dropped since" : "";
      return ["busy", `looking back: step ${this.selected} of ${this.shown}${gone}`];
    }
    if (this.paused) return ["busy", `paused: ${this.head.total - this.rows.last} new`];
    if (!this.head.live) return ["idle", this.head.over ? "closed" : "not live"];
    return ["good", "● live"];
  }

  paintList(saved) {
    if (!this.head) return this.list.paintSaved(saved.last || []);
    for (const number of this.open) if (number < this.rows.first) this.open.delete(number);
    this.lines = this.rows.folded(this.firstShown(), this.filter, [...this.open]);
    const found = this.lines.reduce((sum, line) => sum + (line.fold ? 0 : line.steps), 0);
    const { dropped } = this.rows;
    this.older.hidden = !dropped;
    say(this.older, dropped ? `${plural(dropped, "older step")} dropped: the last ${this.rows.limit} are kept` : "");
    say(this.count, this.filter ? `${found} of ${this.rows.at.length}` : "");
    const empty = this.filter ? "Nothing matches the filter." : "Nothing has happened yet.";
    const live = this.selected === null;
    this.list.paint(this.lines, this.current(), { live, reveal: this.reveal, empty });
    this.reveal = false;
    return undefined;
  }

  // Without a kernel there is nothing to ask, and nothing of another step is shown in its place.
  paintDetail() {
    const there = this.head && this.step?.number === this.current();
    if (there || (this.step && !this.kernel.isSilent())) return this.detail.paint(this.step);
    if (!this.head) return this.detail.paint(null, "Run the cell to look at each step.");
    const empty = !this.rows.at.length ? "" : this.kernel.isSilent() ? "The kernel does not answer." : "…";
    return this.detail.paint(null, empty);
  }

  remove() {
    clearInterval(this.pulse);
    clearInterval(this.playing);
    cancelAnimationFrame(this.frame);
    this.resizing.disconnect();
    this.unwatch();
    this.kernel.leave();
    this.model.off("change:step", this.onStep);
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const inspector = new Inspector(model, el);
    return () => inspector.remove();
  },
};
