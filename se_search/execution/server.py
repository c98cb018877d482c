"""The first module that the server of the trainings imports: it ends the server with its parent.

The server itself would notice only once it has imported PyTorch, which can take many seconds.
"""

from __future__ import annotations

import os

from se_search.parent_death import COORDINATOR, end_with_parent

# The import itself acts: a server imports modules, and nothing else can be asked of it.
if COORDINATOR in os.environ:
    end_with_parent(int(os.environ.pop(COORDINATOR)))
