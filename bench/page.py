"""The results as one HTML file that needs nothing else."""

from html import escape
from pathlib import Path

from bench.results import read, table


def draw(folder: Path) -> Path:
    """Write `index.html` beside the results; returns where."""
    path = folder / "index.html"
    parts = [f"<pre>{escape(table(read(one)))}</pre>" for one in sorted(folder.glob("*.json"))]
    path.write_text("\n".join(parts))
    return path
