// All steps on a line of time, in lanes over an axis, and the slider below it.

const LANE = 17, LABELS = 72, MARGIN = 10; // the height of a lane, the room for their names and at the right
const AXIS = 18, TICK = 90, NEAR = 8; // the height of the axis, how far apart its ticks are at least, how near is under
const QUIET = 0.5; // seconds: a longer silence takes no more room than this
const EVEN = 0.3; // the part of the width that steps share, whenever they were

class Overview {
  constructor(choose) {
    this.places = [];
    this.canvas = attributes(make("canvas"), { role: "img" });
    this.done = make("div", "done");
    this.thumb = make("div", "thumb");
    this.slider = make("div", "slider", make("div", "track"), this.done, this.thumb);
    attributes(this.slider, { role: "slider", "aria-label": "Step", tabindex: 0 });
    this.slider.style.margin = `0 ${MARGIN}px 0 ${LABELS}px`;
    this.legend = new Legend();
    this.tip = new Tip();
    this.nodes = [this.canvas, this.slider, this.legend.node, this.tip.node];
    for (const node of [this.slider, this.canvas]) this.drag(node, choose);
  }

  drag(node, choose) {
    const to = (event) => {
      const box = this.slider.getBoundingClientRect();
      choose(this.nearest((event.clientX - box.left) / box.width));
    };
    node.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      node.setPointerCapture(event.pointerId);
      to(event);
    });
    node.addEventListener("pointermove", (event) => {
      if (node.hasPointerCapture(event.pointerId)) to(event);
      this.hover(event);
    });
    node.addEventListener("pointerleave", () => this.tip.show(""));
  }

  // Say which step is under the mouse: in its lane, where one is near, else the nearest of all.
  hover({ clientX, clientY, currentTarget }) {
    if (!this.places.length) return this.tip.show("");
    const box = this.slider.getBoundingClientRect(), page = currentTarget.parentNode.getBoundingClientRect();
    const part = (clientX - box.left) / box.width;
    const lane = this.lanes[Math.floor((clientY - this.canvas.getBoundingClientRect().top - 4) / LANE)];
    const near = NEAR / box.width, { kinds } = this;
    const there = this.places.flatMap((place, i) => (kinds[i].lane === lane && Math.abs(place - part) < near ? i : []));
    const best = (one, other) => (Math.abs(this.places[other] - part) < Math.abs(this.places[one] - part) ? other : one);
    const index = there.length ? there.reduce(best) : this.nearest(part) - this.from;
    const more = there.length > 1 ? `, ${there.length - 1} more here` : "";
    const { label, detail } = kinds[index];
    const words = `${`${label} ${detail}`.trim()} · step ${this.from + index} at ${span(this.times[index])}${more}`;
    return this.tip.show(words, clientX - page.left, clientY - page.top, page.width);
  }

  // Where each step from `from` on is, from 0 to 1. Long silences are shortened, and steps of one moment stand side by
  // side: a part of the width is shared out evenly.
  place({ at, first }, from) {
    this.from = Math.max(from, first);
    this.gaps = [];
    const times = [];
    let time = 0;
    for (let i = this.from - first; i < at.length; i++) {
      const pause = times.length ? Math.max(0, at[i] - at[i - 1]) : 0;
      if (pause > QUIET) this.gaps.push(times.length);
      time += Math.min(pause, QUIET);
      times.push(time);
    }
    const last = Math.max(times.length - 1, 1), even = time ? EVEN : 1;
    this.places = times.map((one, i) => (time ? (1 - even) * (one / time) : 0) + even * (i / last));
  }

  nearest(part) {
    let best = 0;
    for (let i = 1; i < this.places.length; i++) {
      if (Math.abs(this.places[i] - part) <= Math.abs(this.places[best] - part)) best = i;
    }
    return this.from + best;
  }

  paint(rows, from, current, live) {
    this.place(rows, from);
    const start = this.from - rows.first;
    const kinds = rows.kind.slice(start);
    const used = new Set(kinds.map((kind) => kind.lane));
    const lanes = LANES.map((_, lane) => lane).filter((lane) => used.has(lane) || lane < 4);
    Object.assign(this, { kinds, lanes, times: rows.at.slice(start) });
    const part = this.places[current - this.from] ?? (kinds.length ? 0 : 1);
    const paper = this.paper(lanes.length * LANE + 8, AXIS);
    this.drawAxis(paper);
    this.drawLanes(paper, lanes);
    this.drawMarks(paper, kinds, lanes, live ? Infinity : current - this.from);
    if (kinds.length) paper.fillRect(LABELS + part * paper.long - 0.75, 0, 1.5, paper.height);
    this.done.style.width = this.thumb.style.left = `${part * 100}%`;
    this.legend.paint(kinds, this.gaps.length > 0);
    this.describe(rows, current, kinds.length, lanes);
  }

  // A clean canvas, with the colours of the theme.
  paper(height, below) {
    const { canvas } = this, ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
    const [w, h] = [Math.round(width * ratio), Math.round((height + below) * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
      Object.assign(canvas, { width: w, height: h });
      canvas.style.height = `${height + below}px`;
    }
    const style = getComputedStyle(canvas);
    const paper = canvas.getContext("2d");
    paper.setTransform(ratio, 0, 0, ratio, 0, 0);
    paper.clearRect(0, 0, width, height + below);
    paper.colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return Object.assign(paper, { long: Math.max(width - LABELS - MARGIN, 0), height });
  }

  // Each tick stands at a step and says when that was, because the line of time is not even.
  drawAxis(paper) {
    this.ticks = [];
    paper.font = "11.5px system-ui, sans-serif";
    paper.textBaseline = "alphabetic";
    let last = -Infinity;
    this.places.forEach((place, i) => {
      const x = LABELS + place * paper.long, text = span(this.times[i]);
      if (x - last < TICK || text === this.ticks.at(-1)) return;
      last = x;
      this.ticks.push(text);
      const half = paper.measureText(text).width / 2;
      paper.textAlign = "center";
      paper.fillStyle = paper.colour("line");
      paper.fillRect(x - 0.5, 0, 1, paper.height);
      paper.fillStyle = paper.colour("soft");
      paper.fillText(text, Math.min(x, LABELS + paper.long + MARGIN - half), paper.height + 13);
    });
  }

  drawLanes(paper, lanes) {
    paper.font = "11.5px system-ui, sans-serif";
    paper.textAlign = "right";
    paper.textBaseline = "middle";
    lanes.forEach((lane, index) => {
      const y = laneY(index);
      paper.fillStyle = paper.colour("soft");
      paper.fillText(LANES[lane], LABELS - 14, y);
      paper.fillStyle = paper.colour("line");
      paper.fillRect(LABELS, y - 0.5, paper.long, 1);
    });
    paper.fillStyle = paper.colour("edge");
    for (const gap of this.gaps) { // a silence that was shortened
      const x = LABELS + ((this.places[gap] + this.places[gap - 1]) / 2) * paper.long;
      for (let y = 4; y < paper.height - 4; y += 6) paper.fillRect(x, y, 1, 2);
    }
  }

  drawMarks(paper, kinds, lanes, current) {
    const tones = { plain: paper.colour("soft") };
    for (const tone of ["good", "busy", "bad", "call"]) tones[tone] = paper.colour(tone);
    const heights = new Map(lanes.map((lane, index) => [lane, laneY(index)]));
    const before = []; // in each lane: what was drawn last, and where
    kinds.forEach((kind, i) => {
      const x = LABELS + this.places[i] * paper.long, later = i > current;
      const [same, there, then] = before[kind.lane] || [];
      if (same === kind && x - there < 0.5 && then === later) return; // nobody could tell them apart
      before[kind.lane] = [kind, x, later];
      paper.globalAlpha = later ? 0.4 : 1;
      drawMark(paper, kind.mark, tones[kind.tone], x, heights.get(kind.lane));
    });
    paper.globalAlpha = 1;
    paper.fillStyle = paper.colour("ink");
  }

  describe(rows, current, count, lanes) {
    const kind = rows.kind[current - rows.first];
    const at = kind && span(rows.at[current - rows.first]);
    const none = current && current < rows.first ? `step ${current}, which was dropped since` : "no step yet";
    const where = kind ? `step ${current} of ${rows.last}, ${kind.label} at ${at}` : none;
    const last = Math.max(rows.last, this.from);
    attributes(this.slider, { "aria-valuemin": this.from, "aria-valuemax": last, "aria-valuetext": where });
    attributes(this.slider, { "aria-valuenow": Math.min(Math.max(current, this.from), last) });
    const names = lanes.map((lane) => LANES[lane]).join(", ");
    const [first, end] = [this.ticks[0], span(this.times.at(-1) ?? 0)];
    const axis = count ? `, from ${first} to ${end}` : "";
    attributes(this.canvas, { "aria-label": `${count} steps on a line of time${axis}, in the lanes ${names}` });
  }
}

function laneY(index) {
  return 4 + index * LANE + LANE / 2;
}

function drawMark(paper, shape, colour, x, y) {
  paper.fillStyle = paper.strokeStyle = colour;
  paper.lineWidth = 1.8;
  paper.beginPath();
  if (shape === "square") paper.rect(x - 3.5, y - 3.5, 7, 7);
  else if (shape === "triangle") {
    paper.moveTo(x, y - 4.5);
    paper.lineTo(x + 4.5, y + 3.5);
    paper.lineTo(x - 4.5, y + 3.5);
  } else if (shape === "cross") {
    paper.moveTo(x - 3.5, y - 3.5);
    paper.lineTo(x + 3.5, y + 3.5);
    paper.moveTo(x + 3.5, y - 3.5);
    paper.lineTo(x - 3.5, y + 3.5);
  } else paper.arc(x, y, shape === "ring" ? 3.3 : 4, 0, 7);
  if (shape === "ring" || shape === "cross") paper.stroke();
  else paper.fill();
}
