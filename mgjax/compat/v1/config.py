"""Settings that scripts make for TensorFlow's runtime. They are kept and have no effect."""

from __future__ import annotations

from typing import Any


class Settings:
    """Settings by name; one that was never set is a group of further ones, as in `config.gpu_options.allow_growth`."""

    def __init__(self, **settings: Any):
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.__dict__.setdefault(name, type(self)())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


class ConfigProto(Settings):
    """What a session is configured with."""


class GPUOptions(Settings):
    """How memory of a GPU is taken."""


class GraphOptions(Settings):
    """What is done with the graph before it is run."""


class OptimizerOptions(Settings):
    """How the graph is optimized."""


class RunOptions(Settings):
    """How a single run is done."""

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = range(4)


class RunMetadata(Settings):
    """What a run tells of itself: nothing."""
