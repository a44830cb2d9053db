"""Where a SunSpec device keeps its models (SunSpec Device Information Model Specification, section 6).

At the base stand the letters "SunS"; then one model after the other, each with its id and its length: the common model,
others, the one that the profile describes, and at last the id 0xFFFF. Bases: 40000, 50000 or 0.
"""

from typing import Any

from ..world.signals import source
from .cells import Fixed

_MARK = (0x5375, 0x6E53)  # "SunS"
HEAD = 2  # registers of a model's id and length: the chain's own, whatever a profile's points say of them
_END = 0xFFFF
_NOT_THERE = 0xFFFF  # a register of a model that the device does not fill
_LENGTHS = {101: 50, 102: 50, 103: 50, 111: 60, 112: 60, 113: 60, 201: 105, 202: 105, 203: 105, 204: 105}
_OTHERS = ((11, 13), (12, 98), (120, 26), (121, 30), (122, 44))  # models that may stand in between, with their lengths


def place(profile: Any, end: int, seed: int, device_id: str) -> tuple[int, list[tuple[int, Fixed]]]:
    """(address of the id of the profile's model, [(address, cell), ...] of the whole chain).

    `end`: how many registers the profile's points need, counted from the id.
    """
    draw = source(seed, device_id, "sunspec")
    base, number = draw.choice(list(profile.sunspec.bases)), profile.sunspec.model
    texts = ((profile.vendor, 16), (profile.model, 16), ("", 8), ("1.0", 8), (f"SIM-{device_id}", 16))
    common = [word for text, registers in texts for word in Fixed.text(text, registers).words]
    between = [_OTHERS[draw.randrange(len(_OTHERS))] for _ in range(draw.randrange(3))]
    length = max(_LENGTHS.get(number, 0), end - 2)
    models = [(1, [*common, 1, 0x8000])]  # the unit's address, and a pad
    models += [(other, [_NOT_THERE] * registers) for other, registers in between if other != number]
    models += [(number, [_NOT_THERE] * length), (_END, [])]
    chain = [(base, Fixed(_MARK))]
    at = start = base + 2
    for model, words in models:
        if model == number:
            start = at
        chain += [(at, Fixed((model, len(words)))), *((at + 2 + n, Fixed((word,))) for n, word in enumerate(words))]
        at += 2 + len(words)
    return start, chain
