// The title, how live it is, what there is to say, and the three cards.

class Head {
  constructor({ pause, clear, save }) {
    this.title = make("span", "title");
    this.subtitle = make("span", "soft");
    this.pill = attributes(make("span", "pill"), { role: "status" });
    this.pauseButton = button("", pause);
    const clearButton = button("Clear", clear);
    clearButton.title = "Clear this view; the recording keeps everything";
    const saveButton = button("Export", save);
    saveButton.title = "Download the recording as JSON lines";
    const names = [this.title, this.subtitle, this.pill, make("span", "grow")];
    this.error = attributes(make("p", "word"), { role: "alert" });
    this.word = make("p", "word");
    this.error.hidden = this.word.hidden = true;
    [this.token, this.waiting, this.calls] = ["Token", "Waiting for the token", "Calls"].map((title) =>
      make("div", "card", make("div", "name", title)),
    );
    const bar = make("div", "bar", ...names, this.pauseButton, clearButton, saveButton);
    this.nodes = [bar, this.error, this.word, make("div", "cards", this.token, this.waiting, this.calls)];
  }

  alert(text) {
    this.error.hidden = false;
    say(this.error, text);
  }

  paint({ title, subtitle, mode, words, paused }) {
    say(this.title, title);
    say(this.subtitle, subtitle);
    this.pill.dataset.tone = mode[0];
    say(this.pill, mode[1]);
    const pausing = paused ? "Resume" : "Pause";
    name(this.pauseButton, pausing, `${paused ? ICONS.play : ICONS.pause}${pausing}`);
    this.word.hidden = !words;
    say(this.word, words);
  }

  // What rxauth.notebook.summary says.
  cards(words) {
    const shown = JSON.stringify(words);
    if (shown === this.shown) return;
    this.shown = shown;
    const card = (node, title, ...more) => node.replaceChildren(make("div", "name", title), ...more);
    const big = (text) => make("div", "big", String(text));
    const small = (text) => make("div", "small", text);
    const tokens = words.tokens.map((token) => tokenNode(token, words.tokens.length > 1));
    if (tokens.length) this.token.replaceChildren(...tokens);
    else card(this.token, "Token", small("there is no session"));
    card(this.waiting, "Waiting for the token", big(words.waiting), small(words.waiting_detail));
    card(this.calls, "Calls", big(`${words.answered} answered`), small(words.calls_detail));
    if (words.error) this.calls.append(small(`last error: ${words.error}`));
  }
}

function tokenNode({ session, status, tone, detail, left }, several) {
  const big = make("div", "big", make("span", `sign ${tone}`, SIGNS[tone]), ` ${status}`);
  const node = make("div", "token", make("div", "name", several ? `Token of ${session}` : "Token"), big);
  node.append(make("div", "small", detail));
  if (left === null) return node;
  const bar = make("div", "left", make("div"));
  bar.firstChild.style.width = `${left * 100}%`;
  bar.firstChild.dataset.tone = tone;
  node.append(bar);
  return node;
}
