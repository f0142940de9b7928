"""Says what is frozen in the image: asyncio, the two files that run first, and the modules that the lock needs.

The modules are frozen in their lean form. MicroPython's build executes this file in the folder of the file. The build
defines `freeze` and `include` (MicroPython's documentation, "MicroPython manifest files"). None of the esp32 port's own
modules is frozen. They would format the flash.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd().parents[2]))

from tools.image import RUNS_FIRST, lean_tree

# The option 3 leaves out assertions and line numbers, as in `tools.software.compile_lean`.
include("$(MPY_DIR)/extmod/asyncio")
freeze("modules", RUNS_FIRST, opt=3)
freeze(*lean_tree(), opt=3)
