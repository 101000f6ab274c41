"""The scripts of docs/, which are no package, as modules."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
sys.path.append(str(DOCS))

import calibrate  # noqa: E402
import catalogue  # noqa: E402
import chorales  # noqa: E402

__all__ = ["DOCS", "calibrate", "catalogue", "chorales"]
