"""A small physical world, reproducible from a seed: what the simulated devices measure."""

from .build import build_world, choose_model
from .model import Model
from .world import World

__all__ = ["Model", "World", "build_world", "choose_model"]
