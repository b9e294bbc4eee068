"""``python -m grokkit`` is the command line."""

import sys

from grokkit.cli import main

sys.exit(main())
