"""The notebooks read well where no kernel is: as a page made offline, and reopened without trust."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import bleach
import pytest
from notebook_kit import NOTEBOOKS, html_outputs, read, svgs

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
#: What JupyterLab leaves of an output that it does not trust, as far as it matters here.
TAGS = {
    "a",
    "b",
    "br",
    "code",
    "details",
    "div",
    "em",
    "img",
    "p",
    "pre",
    "span",
    "strong",
    "summary",
    "table",
    "td",
    "tr",
}
ATTRIBUTES = {"a": ["href"], "img": ["src", "alt", "width", "height"]}


def pictures_of(path: Path) -> list[str]:
    return svgs("\n".join(html_outputs(read(path))))


@each
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_becomes_a_page_offline_with_its_pictures_inside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbconvert.exporters import HTMLExporter

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the page asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    page, _ = HTMLExporter().from_filename(str(path))
    assert svgs("".join(re.findall(r"<img[^>]*>", page))) == pictures_of(path) != []
    assert "application/vnd.jupyter.widget-view" not in page, "a widget's script comes from elsewhere"


@each
def test_its_pictures_need_nothing_but_themselves(path: Path) -> None:
    for picture in pictures_of(path):
        ElementTree.fromstring(picture)
        assert re.findall(r"<(?:script|foreignObject|image|use)\b", picture) == []
        assert re.findall(r"(?:href|src)\s*=|url\((?!#)|@import", picture) == []
        assert set(re.findall(r"https?://[^\"' <]+", picture)) <= {"http://www.w3.org/2000/svg"}


@each
def test_without_trust_each_picture_is_still_there_and_has_its_words(path: Path) -> None:
    for output in html_outputs(read(path)):
        left = bleach.clean(output, tags=TAGS, attributes=ATTRIBUTES, protocols={"data", "https"}, strip=True)
        for image in re.findall(r"<img[^>]*>", output):
            assert re.search(r'alt="[^"]{20,}', image), image[:200]
        assert len(re.findall(r'<img[^>]*src="data:image/svg\+xml;base64,', left)) == len(svgs(output))
        assert re.findall(r'<img (?![^>]*alt=")', left) == []
        assert "<svg" not in output, "without trust it is a heap of text"
