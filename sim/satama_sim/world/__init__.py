"""A small physical world, reproducible from a seed: what the simulated devices measure."""

from satama_sim.world.build import build_world, choose_model
from satama_sim.world.model import Model
from satama_sim.world.world import World

__all__ = ["Model", "World", "build_world", "choose_model"]
