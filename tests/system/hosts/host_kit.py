"""Real hosts for the tests: Chromium, JupyterLab and marimo, on loopback, each in a folder of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[3]
#: Generous: a machine may be busy. Every wait is for a condition.
PATIENCE = 60_000
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-liberation")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's settings, and none of the user's settings changed."""
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    keep = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR")}
    return {
        **keep,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "lab"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PYTHONPATH": str(REPO),
    }


@contextmanager
def served(command: list[str], url: str, folder: Path) -> Iterator[str]:
    """The server of this command, from when it answers at `url`, for as long as the block runs."""
    log = folder / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=output, stderr=output)
    try:
        _wait_for(url, server, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(20)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)  # a process that starts tells nobody when it is there
    raise AssertionError(f"{server.args!r} does not answer at {url}:\n{log.read_text()[-3000:]}")


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """JupyterLab's address; its files are those of `folder`."""
    _set(folder, "@jupyterlab/apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})
    _set(folder, "@jupyter-widgets/jupyterlab-manager/plugin", {"saveState": True})
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
    with served(command, f"http://127.0.0.1:{port}/lab", folder) as url:
        yield url


def _set(folder: Path, plugin: str, settings: dict[str, Any]) -> None:
    path = folder / "home" / "lab" / f"{plugin}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))


@contextmanager
def marimo(notebook: Path) -> Iterator[str]:
    """The address of this marimo notebook, run as an app."""
    port = free_port()
    command = [sys.executable, "-m", "marimo", "-q", "run", "--headless", "--no-token", "--host", "127.0.0.1"]
    command += ["--port", str(port), str(notebook)]
    with served(command, f"http://127.0.0.1:{port}/", notebook.parent) as url:
        yield url


def write_notebook(path: Path, *sources: str) -> None:
    """A notebook of these cells."""
    import nbformat  # here, because it takes seconds in each test process
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


class Lab:
    """A page with JupyterLab in it, driven by its own commands."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url

    def open(self, path: str) -> None:
        """Open a notebook, alone, and wait until its cells are there."""
        self.page.goto(f"{self.url}/tree/{path}?reset", timeout=PATIENCE)
        self.page.wait_for_function(
            "() => window.jupyterapp?.commands.hasCommand('notebook:run-all-cells')", timeout=PATIENCE
        )
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content", timeout=PATIENCE)
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=PATIENCE,
        )

    def command(self, name: str, **args: Any) -> None:
        self.page.evaluate("([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, args])

    def run_all(self) -> None:
        """Run all cells, to the end of the last one."""
        self.command("notebook:run-all-cells")

    def run_python(self, source: str) -> None:
        """Run this in the kernel, beside the notebook's cells; it raises when that fails."""
        failed = self.page.evaluate(
            """async (source) => {
                const panel = window.jupyterapp.shell.currentWidget;
                const kernel = panel.sessionContext.session.kernel;
                const reply = await kernel.requestExecute({ code: source, store_history: false }).done;
                return reply.content.status === "ok" ? null : reply.content.ename + ": " + reply.content.evalue;
            }""",
            source,
        )
        assert failed is None, failed

    def until_python(self, expression: str) -> None:
        """Wait until this is true in the kernel."""
        wait = f"import asyncio, time\nend = time.monotonic() + {PATIENCE / 1000}\n"
        wait += f"while not ({expression}):\n    assert time.monotonic() < end\n    await asyncio.sleep(0.05)"
        self.run_python(wait)

    def theme(self, name: str) -> None:
        """Change to "JupyterLab Light" or "JupyterLab Dark"."""
        self.command("apputils:change-theme", theme=name)
        light = "false" if "Dark" in name else "true"
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached", timeout=PATIENCE)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=PATIENCE)


def shoot(target: Any, name: str) -> None:
    """A screenshot, for people, where RXAUTH_SCREENSHOTS says; `lab-light-refreshed` is `docs/inspector.png`."""
    folder = os.environ.get("RXAUTH_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        target.screenshot(path=str(Path(folder) / f"{name}.png"))


def violations(page: Any, selector: str) -> list[str]:
    """What axe-core finds wrong in the part of the page below `selector`."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("async (selector) => (await axe.run(selector)).violations", selector)
    return [
        f"{rule['id']}: {rule['help']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found
        for node in rule["nodes"]
    ]
