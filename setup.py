"""The packages; all else is in pyproject.toml.

What lies beside `mmer/` in the repository lies inside it in what is built: `release/` as `mmer/release/`, which is the
default model; service.py, `web/` and the protocol's document as `mmer/app/`. So each is in git once.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mmer", "mmer.*"]), "mmer.release", "mmer.app.web", "mmer.app.docs"],
    py_modules=["mmer.app.service"],
    package_dir={"mmer.release": "release", "mmer.app": ".", "mmer.app.web": "web", "mmer.app.docs": "docs"},
    package_data={
        "mmer": ["py.typed"],
        "mmer.data": ["*.csv"],
        "mmer.data.corpora": ["*.csv", "*.csv.gz", "*.LICENSE"],
        "mmer.release": ["MODEL_CARD.md", "LICENSE-WEIGHTS", "*.onnx", "detector/*.onnx"],
        "mmer.app.web": ["*.js", "*.html", "*.css", "*/*.js", "samples/*"],
        "mmer.app.docs": ["protocol.md"],
    },
)
