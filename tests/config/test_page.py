"""docs/config.md says what the option tables say."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date():
    page = runpy.run_path(str(DOCS / "generate_config.py"))["page"]()
    assert (DOCS / "config.md").read_text(encoding="utf-8") == page, "run: python docs/generate_config.py"
