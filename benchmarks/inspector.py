"""What the inspector costs and how far behind it is, in JupyterLab in a real browser.

    python -m benchmarks.inspector [--rate 10000] [--seconds 10] [--rounds 3]

A thread of the kernel dispatches so many actions a second, to two kinds of store: a bare one, to which nobody listens,
so that a dispatch costs the least it can, and one of an app, with an epic, a selector and a subscriber that this action
concerns. To each alone, and to the same with an inspector open, in turns; the bare one is also recorded. Printed:
events that did not arrive, the time until an action is on the screen, and the processor time that the dispatching
thread spends with dispatching, as a ratio to the same store alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import row, table
from tests.programs import find
from tests.system.hosts.host_kit import FLAGS, NAMES, PACKAGES, PATIENCE, Lab, jupyterlab, write_notebook

SETUP = """
import json, threading, time
from dataclasses import dataclass
from reactivex import operators as ops
from rxauth import AuthState, Store, auth_reducer, combine_reducers
from rxauth.notebook.inspector import inspect
from rxauth.recording import record

@dataclass(frozen=True, slots=True)
class Tick:
    number: int

@dataclass(frozen=True)
class App:
    auth: AuthState = AuthState()
    ticks: int = 0

def count(state, action):
    return state + 1 if isinstance(action, Tick) else state

def bare():
    return Store(combine_reducers(App, auth=auth_reducer, ticks=count), App())

def an_app():
    store = bare()
    store.add_epic(lambda actions, state: actions.of_type(Tick).pipe(ops.ignore_elements()))
    store.select(lambda app: app.ticks).subscribe(lambda ticks: None)
    store.subscribe(lambda app: None)
    return store

def storm(store, rate, seconds, slots=500):
    # In each slot a small burst, and then a pause; the time in the bursts is what the dispatching code feels.
    busy, cpu, number, sent = 0.0, 0.0, 0, []
    each = rate // slots
    began = time.perf_counter()
    for slot in range(int(seconds * slots)):
        sent.append((number + 1, time.time()))
        start, start_cpu = time.perf_counter(), time.thread_time()
        for _ in range(each):
            number += 1
            store.dispatch(Tick(number))
        busy += time.perf_counter() - start
        cpu += time.thread_time() - start_cpu
        pause = began + (slot + 1) / slots - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
    return {"took": time.perf_counter() - began, "busy": busy, "cpu": cpu, "number": number, "sent": sent}

def in_thread(*args):
    thread = threading.Thread(target=lambda: results.append(storm(*args)))
    thread.start()

results = []
store = bare()
"""
SHOW = "inspector = inspect(store)\ninspector"
WATCH = """() => {
    window.drawn = [];
    document.addEventListener("rxauth-drawn", (event) => window.drawn.push([event.detail, Date.now() / 1000]));
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=int, default=10_000, help="actions a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    path = find(*NAMES, packages=PACKAGES)
    if path is None:
        raise SystemExit("no Chromium was found: apt-get install chromium fonts-liberation")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_notebook(Path(folder) / "bench.ipynb", SETUP, SHOW)
        with jupyterlab(Path(folder)) as url:
            browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
            page = browser.new_context(viewport={"width": 1320, "height": 1000}).new_page()
            lab = Lab(page, url)
            lab.open("bench.ipynb")
            lab.run_all()
            page.wait_for_selector(".rxi", timeout=PATIENCE)
            lab.until_python("'inspector' in globals()")
            page.evaluate(WATCH)
            _measure(lab, options.rate, options.seconds, options.rounds)
            browser.close()


def _measure(lab: Lab, rate: int, seconds: float, rounds: int) -> None:
    ways = ("bare", "bare, recorded", "bare, inspected", "an app's", "an app's, inspected")
    costs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    lab.run_python("inspector.close()")
    for _ in range(rounds):
        costs["bare"].append(_storm(lab, "alone = bare()", "alone", rate, seconds))
        recorded = "recorded = bare(); recording = record(recorded)"
        costs["bare, recorded"].append(_storm(lab, recorded, "recorded", rate, seconds))
        lab.run_python("recording.close()")
        costs["bare, inspected"].append(_inspected(lab, "bare", rate, seconds))
        costs["an app's"].append(_storm(lab, "alone = an_app()", "alone", rate, seconds))
        costs["an app's, inspected"].append(_inspected(lab, "an_app", rate, seconds))
    took = {way: max(cost["took"] for cost in costs[way]) / seconds for way in ways}
    spent = {way: [cost["cpu"] / cost["number"] for cost in costs[way]] for way in ways}
    print(f"{rate} actions a second for {seconds:g} s: the dispatching thread's processor time for each")
    print(
        table(
            [
                row(f"store: {way}, to alone", spent[way], spent[alone], bound)
                for alone, way, bound in (
                    ("bare", "bare, recorded", None),
                    ("bare", "bare, inspected", 1.1),
                    ("an app's", "an app's, inspected", 1.1),
                )
            ]
        )
    )
    print("all of it took, of the time planned: " + ", ".join(f"{way} {took[way]:.3f}" for way in ways))


def _storm(lab: Lab, prepare: str, store: str, rate: int, seconds: float) -> dict[str, Any]:
    lab.run_python(f"{prepare}; results.clear(); in_thread({store}, {rate}, {seconds})")
    lab.until_python("results")
    lab.run_python("open('result.json', 'w').write(json.dumps(results[0]))")
    text = lab.page.evaluate("async () => (await fetch('/files/result.json?' + Math.random())).text()")
    result: dict[str, Any] = json.loads(text)
    return result


def _inspected(lab: Lab, kind: str, rate: int, seconds: float) -> dict[str, Any]:
    """One storm with the inspector open: also prints what was lost, and how late it was on the screen."""
    page = lab.page
    lab.run_python(f"store = {kind}()")
    page.evaluate(
        """async () => {
            window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
            await window.jupyterapp.commands.execute("notebook:run-cell");
        }"""
    )
    page.wait_for_function("() => document.querySelector('.rxi')?.dataset.last === '0'", timeout=PATIENCE)
    page.evaluate("() => { window.drawn = []; }")
    cost = _storm(lab, "pass", "store", rate, seconds)
    page.wait_for_function(
        "(last) => Number(document.querySelector('.rxi').dataset.last) === last", arg=cost["number"], timeout=PATIENCE
    )
    drawn = page.evaluate("() => window.drawn")
    received = int(page.locator(".rxi").get_attribute("data-received"))
    lab.run_python("inspector.close()")
    lags = sorted(_lags(cost["sent"], drawn))
    said = {part: lags[int(len(lags) * part / 100)] * 1000 for part in (50, 95, 99)}
    print(
        f"  {kind}, inspected: {cost['number']} dispatched, {received} arrived; on the screen after "
        f"{said[50]:.0f} ms (p50), {said[95]:.0f} ms (p95), {said[99]:.0f} ms (p99), {lags[-1] * 1000:.0f} ms at most"
    )
    return cost


def _lags(sent: list[tuple[int, float]], drawn: list[tuple[int, float]]) -> list[float]:
    """For each burst the seconds until its first action was drawn."""
    found, shown = [], iter(drawn)
    last, at = next(shown)
    for number, dispatched in sent:
        while last < number:
            last, at = next(shown)
        found.append(at - dispatched)
    return found


if __name__ == "__main__":
    main()
