"""`python -m rxauth.demo`: fifty calls meet an expired token, and then a session that the server has ended."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import logging
import os
import sys
from pathlib import Path

from rich.console import Console

from rxauth.demo.backend import BackendError, backend
from rxauth.demo.scene import Scene, ServerCounts, play


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    logging.getLogger("rxauth").addHandler(logging.NullHandler())  # what it would warn of is on the screen
    try:
        if options.url is None:
            with backend(life=options.life, latency=options.latency, token_latency=0.4) as server:
                counts = ServerCounts(server)
                scene = Scene(server.url, server.user, server.password, options.calls, counts, options.apart)
                return _show(scene, options.picture)
        password = os.environ.get("RXAUTH_PASSWORD") or getpass.getpass(f"password of {options.user}: ")
        scene = Scene(options.url.rstrip("/"), options.user, password, options.calls, None, options.apart)
        return _show(scene, options.picture)
    except ModuleNotFoundError as error:
        print(f"{error}", file=sys.stderr)
    except BackendError as error:
        print(f"the demo backend failed: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _show(scene: Scene, picture: Path | None) -> int:
    return asyncio.run(play(scene, Console(), picture))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rxauth.demo", description=__doc__)
    parser.add_argument("--calls", type=_positive, default=50, help="how many calls at once (default 50)")
    parser.add_argument("--apart", type=_seconds, default=0.0, help="seconds from call to call (default 0)")
    parser.add_argument("--latency", type=float, default=0.2, help="of the API, in seconds (default 0.2)")
    parser.add_argument("--life", type=float, default=5.0, help="of the access token, in seconds (default 5)")
    parser.add_argument("--url", help="another server that speaks simplejwt, with POST /api/echo/")
    parser.add_argument("--user", help="the user at that server; the password is asked for, or RXAUTH_PASSWORD")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="save the calls as a picture, .svg or .txt")
    options = parser.parse_args(arguments)
    if (options.url is None) != (options.user is None):
        parser.error("--url and --user go together")
    return options


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 60:
        raise argparse.ArgumentTypeError("must be from 0 to 60")
    return seconds


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
