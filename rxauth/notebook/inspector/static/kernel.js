// What goes to the kernel and comes from it: numbered batches, questions about one step, and a download in parts.

const SILENCE = 5000; // milliseconds without a word from the kernel, after which nothing is called live
const PATIENCE = 2000; // milliseconds until a question is asked again
const CALM = 200; // milliseconds without news, after which the details of the newest step are asked for
const HURRY = 1000; // milliseconds between two such questions while there are always news

class Kernel {
  // `told` has a function for each kind of message: `all`, `news`, `step` and `trouble`; and `changed` for after it.
  constructor(model, view, told) {
    Object.assign(this, { model, view, told });
    this.batch = 0;
    this.asked = null; // when everything was asked for, until it comes
    this.heard = performance.now();
    this.news = this.lastQuestion = -Infinity; // when the last rows came, when the last question was asked
    this.parts = [];
    this.onMessage = (message) => this.receive(message);
    model.on("msg:custom", this.onMessage);
  }

  leave() {
    this.send({ type: "bye", view: this.view });
    clearTimeout(this.later);
    this.model.off("msg:custom", this.onMessage);
  }

  send(message) {
    try {
      this.model.send(message);
    } catch {
      this.heard = -Infinity; // there is no kernel
      this.told.changed();
    }
  }

  isSilent() {
    return performance.now() - this.heard > SILENCE;
  }

  // Ask for everything: at the beginning, and when a message was lost.
  hello() {
    this.asked = performance.now();
    this.send({ type: "hello", view: this.view });
  }

  // Ask for the details of a step: one question at a time, and of a step that is live not too often.
  inquire(number, live) {
    const now = performance.now();
    if (this.isSilent() || (this.question && now - this.question < PATIENCE)) return;
    const pause = live ? CALM - (now - this.news) : 0;
    if (pause > 0 && now - this.lastQuestion < HURRY) {
      clearTimeout(this.later);
      this.later = setTimeout(this.told.changed, pause);
      return;
    }
    this.question = this.lastQuestion = now;
    this.send({ type: "select", number });
  }

  receive(message) {
    this.heard = performance.now();
    if (message.type === "snapshot") this.takeAll(message);
    else if (message.type === "batch") this.takeBatch(message);
    else if (message.type === "step") this.takeStep(message);
    else if (message.type === "export") this.takePart(message);
    if (message.trouble) this.told.trouble(message.trouble);
    this.told.changed();
  }

  takeAll(message) {
    this.asked = null;
    this.batch = message.batch;
    this.take(message, this.told.all);
  }

  takeBatch(message) {
    const lost = message.batch !== this.batch + 1;
    this.batch = message.batch;
    if (this.asked === null ? lost : performance.now() - this.asked > PATIENCE) this.hello();
    else if (this.asked === null) this.take(message, this.told.news);
  }

  take(message, tell) {
    if (message.rows.length) this.news = this.heard;
    tell(message);
  }

  takeStep(message) {
    this.question = null;
    this.told.step(message);
  }

  takePart({ part, last, text, name }) {
    this.parts = part === 0 ? [text] : [...this.parts, text];
    if (!last) return;
    const link = make("a");
    link.href = URL.createObjectURL(new Blob(this.parts, { type: "application/x-ndjson" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    this.parts = [];
  }
}
