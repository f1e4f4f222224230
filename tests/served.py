"""The app's server as browser tests start it: `python -m tests.served OPTIONS`.

It is `streamlit run app.py`, but the processes that it starts for trainings, estimates and files
are forked where the libraries are loaded (tests/interpreter.py).
"""

import runpy
import sys

import core.processes
from tests import interpreter

if __name__ == "__main__":
    core.processes.subprocess = interpreter
    sys.argv = ["streamlit", "run", "app.py", *sys.argv[1:]]
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
