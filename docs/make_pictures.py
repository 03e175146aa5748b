"""Makes the pictures of the docs from the demo. Needs Chromium and the dependency group `pictures`."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).with_name("pictures")


def main() -> None:
    """Runs the demo in a folder of its own, and takes pictures of what it prints and of its report."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        printed = _demo(folder)
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        FOLDER.mkdir(exist_ok=True)
        report = folder / "gong_demo_report.html"
        _take(chromium, report, "report.png", width=1240, shown=860)
        _take(chromium, report, "report_phone.png", width=360, shown=360, height=900, scheme="dark")
        terminal = folder / "terminal.svg"
        terminal.write_text(_terminal(printed))
        _take(chromium, terminal, "terminal.png", width=1000, shown=860)
        chromium.close()


def _demo(folder: Path) -> str:
    """What the demo prints, with the folder left out."""
    command = [sys.executable, "-m", "gong_source.cli", "demo"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    printed = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
    return printed.replace(f"file://{folder}/", "").replace(f"{folder}/", "./")


def _terminal(printed: str) -> str:
    """The text as an SVG that looks like a terminal, without fonts from elsewhere."""
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(Text(f"$ gong-source demo\n{printed.rstrip()}"))
    return re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="gong-source"), flags=re.DOTALL)


def _take(
    chromium: Browser,
    page: Path,
    name: str,
    *,
    width: int,
    shown: int,
    height: int | None = None,
    scheme: Literal["light", "dark"] = "light",
) -> None:
    """A picture of the whole page, or of its upper part, `shown` pixels wide, in few colours so that it is small."""
    opened = chromium.new_page(viewport={"width": width, "height": height or 600}, color_scheme=scheme)
    opened.goto(page.as_uri())
    drawing = page.suffix == ".svg"
    taken = opened.locator("svg").screenshot() if drawing else opened.screenshot(full_page=height is None)
    opened.close()
    with Image.open(io.BytesIO(taken)) as image:
        size = (shown, round(image.height * shown / image.width))
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).quantize(128).save(FOLDER / name, optimize=True)


if __name__ == "__main__":
    main()
