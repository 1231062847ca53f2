"""Start the command line: `python -m webui_fork VERB`."""

import sys

from webui_fork.cli.main import main

sys.exit(main())
