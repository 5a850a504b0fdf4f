"""`python -m crocodile` is the `crocodile` command."""

import sys

from crocodile.main import main

sys.exit(main())
