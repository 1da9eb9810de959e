"""The browser's side alone: the widget on an empty page, with a model that a test drives."""

from __future__ import annotations

from typing import Any

from rxauth.notebook.inspector.widget import widget_class

MODEL = """
class Model {
    constructor(values) {
        this.values = { step: null, selected: {}, snapshot: {}, ...values };
        this.sent = [];
        this.on_ = [];
    }
    get(name) { return this.values[name]; }
    set(name, value) { this.values[name] = value; }
    save_changes() { this.saved = (this.saved || 0) + 1; }
    send(message) { if (this.dead) throw new Error("no comm"); this.sent.push(message); }
    on(name, call) { this.on_.push([name, call]); }
    off(name, call) { this.on_ = this.on_.filter((one) => one[1] !== call); }
    tell(name, value) { for (const [one, call] of this.on_) if (one === name) call(value); }
}
"""
TOKEN = {
    "session": "billing-api",
    "status": "fresh",
    "tone": "good",
    "detail": "expires in 4 min 59 s · generation 2 · value redacted",
    "left": 0.99,
}
WORDS = {
    "tokens": [TOKEN],
    "waiting": 0,
    "waiting_detail": "calls · peak 32 · longest 424 ms",
    "answered": 50,
    "calls_detail": "0 in flight · 0 failed · 1 refresh",
    "error": "",
    "next": "nothing to do",
}
KINDS = [
    ["Add", "", "actions", "dot", "plain"],
    ["RequestSent", "GET /api/me/", "sent", "square", "call"],
    ["RequestEnded", "200", "answered", "ring", "call"],
    ["RefreshFailed", "", "token", "cross", "bad"],
]


class Side:
    """The widget on an empty page, with a model that is driven by the test."""

    def __init__(self, page: Any, **values: Any) -> None:
        self.page = page
        self.number = 0
        page.set_content("<!doctype html><html lang='en'><title>test</title><main id='main'></main></html>")
        page.clock.install()
        script = str(widget_class()._esm).replace("export default", "window.widget =")
        page.add_style_tag(content=str(widget_class()._css))
        page.add_script_tag(content=f"{MODEL}\n{script}\nwindow.Rows = Rows;")
        page.evaluate(
            "(values) => { window.model = new Model(values);"
            "window.end = widget.render({ model, el: document.getElementById('main') }); }",
            values,
        )
        self.root = page.locator(".rxi")

    def tell(self, kind: str, rows: list[int] | None = None, **more: Any) -> None:
        """A message with these rows: places in KINDS, a hundredth of a second apart."""
        self.number = more.pop("batch", self.number + 1)
        rows = rows or []
        first = more.pop("first", self.total + 1)
        self.total = max(first + len(rows) - 1, 0)
        packed = [value for n, place in enumerate(rows) for value in (place, (first + n) * 100)]
        message = {
            "type": kind,
            "batch": self.number,
            "first": first if rows else 0,
            "kinds": KINDS,
            "rows": packed,
            "limit": 5000,
            "title": "billing-api",
            "subtitle": "rxauth store",
            "live": True,
            "over": False,
            "total": self.total,
            "missed": 0,
            "note": "",
            "trouble": "",
            "words": WORDS,
            **more,
        }
        self.raw(message)

    total = 0

    def raw(self, message: dict[str, Any]) -> None:
        self.page.evaluate("(message) => model.tell('msg:custom', message)", message)
        self.page.clock.run_for(50)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.page.evaluate("() => model.sent") if message["type"] == kind]

    @property
    def pill(self) -> str:
        return str(self.root.get_by_role("status").inner_text())

    def lines(self) -> list[str]:
        texts = "(row) => [...row.children].map((part) => (part.innerText || '').trim()).filter(Boolean).join(' ')"
        rows: list[str] = self.page.evaluate(f"() => [...document.querySelectorAll('[role=option]')].map({texts})")
        return rows
