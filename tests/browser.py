"""A real browser that opens pages, and what it has to find in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

# Each text with the contrast to what is behind it: 4.5 is what WCAG 2 asks for.
_CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const found = rgb(getComputedStyle(node).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
    if (!own || ['STYLE', 'title'].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const colour = rgb(node.tagName === 'text' ? style.fill : style.color);
    const [a, b] = [light(colour), light(behind(node))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), node.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""
_MARKS = """svg => [...svg.querySelectorAll('.role-mark path, .role-mark rect, .role-mark line')]
  .filter(mark => mark.getBBox().width + mark.getBBox().height > 0 && getComputedStyle(mark).fill !== '').length"""


@dataclass(frozen=True)
class Seen:
    """What the browser has found on a page."""

    text: str
    charts: int


@dataclass
class Browser:
    """A Chromium without a window."""

    chromium: Chromium

    def check(self, page: Path, name: str) -> Seen:
        """Opens the page on a telephone and on a desk, light and dark; raises AssertionError if it is not sound.

        With GONG_SOURCE_PICTURES, screenshots go into that folder.
        """
        seen: Seen | None = None
        for width, scheme in ((360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")):
            seen = self._check(page.resolve(), name, width, scheme)
        assert seen is not None
        return seen

    def _check(self, page: Path, name: str, width: int, scheme: Any) -> Seen:
        opened = self.chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        noticed: list[str] = []
        opened.on("console", lambda message: noticed.append(message.text))
        opened.on("pageerror", lambda error: noticed.append(str(error)))
        opened.on("request", lambda request: noticed.append(request.url))
        opened.goto(page.as_uri())
        assert noticed == [page.as_uri()]
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        faint = [found for found in opened.evaluate(_CONTRASTS) if found[0] < 4.5]
        assert faint == []
        charts = opened.query_selector_all("svg")
        assert all(chart.evaluate(_MARKS) > 0 for chart in charts)
        assert all(len(chart.get_attribute("aria-label") or "") > 20 for chart in charts)
        assert opened.evaluate("document.querySelector('title').textContent && document.documentElement.lang") == "en"
        opened.emulate_media(media="print")
        assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        opened.emulate_media(media="screen")
        if folder := os.environ.get("GONG_SOURCE_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            opened.screenshot(path=f"{folder}/{name}_{width}_{scheme}.png", full_page=True)
        seen = Seen(opened.inner_text("body"), len(charts))
        opened.close()
        return seen
