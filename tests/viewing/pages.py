"""Reading generated pages as a browser would, with the standard library."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

FETCHING = {"src", "srcset", "href", "action", "formaction", "data", "poster", "background", "ping", "cite", "manifest"}


class Page(HTMLParser):
    """The tags of a page with their attributes, what the text elements hold, and the ids."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.held: list[tuple[str, dict[str, str | None], str]] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br", "img"):
            self._open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.held.append((*self._open[-1], data))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def inside(self, name: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for tag, attributes, text in self.held if tag == name]

    @property
    def text(self) -> str:
        return " ".join(text for tag, _, text in self.held if tag not in ("script", "style"))

    @property
    def data(self) -> dict[str, Any]:
        found = "".join(text for attributes, text in self.inside("script") if attributes.get("id") == "data")
        return json.loads(found)  # type: ignore[no-any-return]


def assert_no_request(page: Page) -> None:
    """No attribute, style or script fetches anything, and the policy allows just the page's own code."""
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form[action]", "audio", "video")
        assert not FETCHING & attributes.keys(), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    style = "".join(text for _, text in page.inside("style"))
    assert "url(" not in style and "@import" not in style
    scripts = [text for attributes, text in page.inside("script") if attributes.get("type") is None]
    code = "".join(scripts)
    calls = r"fetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import\(|innerHTML|outerHTML|insertAdjacent"
    others = r"document\.write|eval\(|Function\(|localStorage|location|window\.open|Image\(|https?:(?!//www\.w3)"
    for forbidden in (calls, others):
        assert not re.search(forbidden, code), forbidden
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["base-uri"] == "'none'" and rules["form-action"] == "'none'"
    assert rules["script-src"] == source_of(code)
    assert rules["style-src"] == source_of(style)
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}


def source_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def colours(style: str) -> tuple[dict[str, str], dict[str, str]]:
    """The custom properties with colours, for light and for dark."""
    light: dict[str, str] = {}
    dark: dict[str, str] = {}
    for block in re.finditer(r"(@media \(prefers-color-scheme: dark\) \{\s*)?:root \{(.*?)\}", style, re.S):
        found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", block[2]))
        (dark if block[1] else light).update(found)
    return light, {**light, **dark}
