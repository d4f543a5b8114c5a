"""The packages, all else is in pyproject.toml: `release/` is the package's folder `mmer/release/` in what is built, so
that the default model is installed and lies in git once.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mmer", "mmer.*"]), "mmer.release"],
    package_dir={"mmer.release": "release"},
    package_data={
        "mmer": ["py.typed"],
        "mmer.data": ["*.csv"],
        "mmer.data.corpora": ["*.csv"],
        "mmer.release": ["MODEL_CARD.md", "LICENSE-WEIGHTS", "*.onnx", "detector/*.onnx"],
    },
)
