"""Programs for the Python of `.venv-agents`: the examples with agents, run offline with a transport that is made up."""
