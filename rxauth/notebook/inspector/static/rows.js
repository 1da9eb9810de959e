// The last rows as the kernel numbered them, and the lines that they fold to.

const LANES = ["waiting", "token", "sent", "answered", "actions", "streams", "errors"];
const PATTERN = 4; // see rxauth.notebook.kinds.bursts, which folds by the same rule

// Numbers follow one another from `first`.
class Rows {
  constructor() {
    this.kinds = new Map();
    this.limit = 5000;
    this.clear(1);
  }

  clear(first) {
    this.first = first;
    this.at = [];
    this.kind = [];
  }

  get last() {
    return this.first + this.at.length - 1;
  }

  add({ first, kinds, rows }) {
    if (!rows.length) return;
    if (first !== this.last + 1) this.clear(first);
    const known = kinds.map((fields) => this.intern(fields));
    for (let i = 0; i < rows.length; i += 2) {
      this.kind.push(known[rows[i]]);
      this.at.push(rows[i + 1] / 10000);
    }
    const surplus = this.at.length - this.limit;
    if (surplus <= 0) return;
    this.at.splice(0, surplus);
    this.kind.splice(0, surplus);
    this.first += surplus;
  }

  // One object for each kind, so that kinds are compared by identity.
  intern([label, detail, lane, shape, tone]) {
    const key = [label, detail, lane, shape, tone].join("\u0000");
    if (!this.kinds.has(key)) {
      if (this.kinds.size > 2000) this.kinds.clear(); // rows keep the kinds that they have
      const text = `${label} ${detail}`.toLowerCase();
      this.kinds.set(key, { label, detail, lane: LANES.indexOf(lane), mark: shape, tone, text });
    }
    return this.kinds.get(key);
  }

  // How many steps are not here any more.
  get dropped() {
    return this.first - 1;
  }

  // Each kind, or short pattern of kinds, that repeats is one line; one that holds a step of `open` is a head without
  // steps of its own (it ends before it begins), and a line for each step follows it.
  folded(from, filter, open = []) {
    const numbers = [];
    for (let number = Math.max(from, this.first); number <= this.last; number++) {
      if (!filter || this.kind[number - this.first].text.includes(filter)) numbers.push(number);
    }
    const kinds = numbers.map((number) => this.kind[number - this.first]);
    const lines = [];
    for (let here = 0; here < kinds.length; ) {
      let length = 1, times = 1;
      for (let tried = 1; tried <= PATTERN; tried++) {
        const found = repeats(kinds, here, tried);
        if (found > 1 && found * tried > length * times) [length, times] = [tried, found];
      }
      const end = here + length * times, to = numbers[end - 1];
      const at = this.at[to - this.first], count = times > 1 ? String(times) : "";
      const line = { kinds: kinds.slice(here, here + length), steps: end - here, count, from: numbers[here], to, at };
      line.last = to;
      lines.push(line);
      if (count && open.some((number) => line.from <= number && number <= to)) {
        Object.assign(line, { open: true, to: line.from - 1 });
        for (const number of numbers.slice(here, end)) lines.push(this.single(number, line));
      }
      here = end;
    }
    return lines;
  }

  single(number, fold) {
    const place = number - this.first;
    return { kinds: [this.kind[place]], steps: 1, count: "", from: number, to: number, at: this.at[place], fold };
  }
}

function repeats(kinds, here, length) {
  let times = 1;
  for (let i = here + length; i < kinds.length && kinds[i] === kinds[i - length]; i++) {
    if ((i - here + 1) % length === 0) times++;
  }
  return times;
}

// The index of the line that holds a step, -1 for none.
function lineOf(lines, number) {
  let low = 0, high = lines.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (number < lines[middle].from) high = middle - 1;
    else if (number > lines[middle].to) low = middle + 1;
    else return middle;
  }
  return -1;
}
