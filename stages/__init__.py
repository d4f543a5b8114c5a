"""The pipeline's stages: thin scripts around `mmer`, each run by `dvc.yaml` as `python -m stages.NAME`."""

import os
import sys
from collections.abc import Callable

from mmer.errors import MmerError

# Idle OpenMP threads that spin make two busy processes many times slower than one; read when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage; an error that is written for the user ends it with that message alone, and so does Ctrl-C."""
    try:
        main()
    except MmerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from here")
