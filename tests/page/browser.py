"""A real headless Chromium, and a real agent that plays its demo."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.agents import started_as

# The least contrast of any text on the page against what lies behind it (WCAG 2.2, 1.4.3: relative luminance of sRGB).
CONTRAST = """() => {
  const part = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const colour = s => (s.match(/[0-9.]+/g) || []).map(Number);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = {ratio: 99, text: ''};
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !e.getClientRects().length || ['SCRIPT', 'STYLE', 'TITLE', 'DESC', 'title', 'desc'].includes(e.tagName)) continue;
    const style = getComputedStyle(e);
    const a = light(colour(e.namespaceURI.endsWith('svg') ? style.fill : style.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least.ratio) least = {ratio, text: text.slice(0, 60)};
  }
  return least;
}"""


def chromium() -> str:
    """Where it is; skips, with the reason, where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    return found


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The URL of ``wattledger agent --demo``, once its page can be had."""
    with started_as(folder, "--demo", env={"TMPDIR": str(folder)}) as agent:
        yield agent.url
