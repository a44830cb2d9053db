"""The power cuts shared out among processes, and one report of what they found."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from ..board.board import SimError
from .powercut import MODES, Storm, Truth, Violation, find_truth

Plan = dict[int, tuple[str, ...]]  # operation -> the modes that are tried there


def everything(truth: Truth) -> Plan:
    return {op: MODES for op in range(truth.operations)}


def some(truth: Truth, count: int, seed: int) -> Plan:
    """So many cuts, spread over the whole life and all modes alike."""
    dice = random.Random(seed)
    plan: dict[int, list[str]] = {}
    for at in range(count):
        first, end = truth.operations * at // count, truth.operations * (at + 1) // count
        plan.setdefault(dice.randrange(first, max(end, first + 1)), []).append(MODES[at % len(MODES)])
    return {op: tuple(modes) for op, modes in plan.items()}


def one(truth: Truth, text: str) -> Plan:
    """OP:MODE, as a violation is reported. Raises ValueError."""
    op, _, mode = text.partition(":")
    if not op.isdigit() or int(op) >= truth.operations or mode not in MODES:
        raise ValueError(
            f"--only {text} -> number of an operation (0 to {truth.operations - 1}), a colon, and a mode: {', '.join(MODES)}"
        )
    return {int(op): (mode,)}


def storm(
    seed: int,
    choose: Callable[[Truth], Plan],
    jobs: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
    **options: Any,
) -> dict[str, Any]:
    """Cut, and report. `progress(done, of)`: cuts. Raises SimError (the life itself does not work), ValueError."""
    if not hasattr(os, "fork"):
        raise ValueError("the storm forks processes, which this system does not have -> run it on Linux or macOS")
    started = time.monotonic()
    truth = find_truth(seed, **options)
    plan = choose(truth)
    cuts = sum(len(modes) for modes in plan.values())
    found: list[Violation] = []
    progress(0, cuts)
    tried, digests = _share_out(seed, truth, plan, jobs, lambda done: progress(done, cuts), found, options)
    return {
        "seed": seed,
        "operations": truth.operations,
        "modes": list(MODES),
        "cuts": tried,
        "violations": [violation._asdict() for violation in sorted(found)],
        "samples": len(truth.values),
        "dropped": len(truth.values) - len(truth.delivered),
        "repeatable": truth.agrees and all(digest == truth.digest for digest in digests),
        "jobs": jobs,
        "real_s": round(time.monotonic() - started, 1),
    }


def _share_out(
    seed: int,
    truth: Truth,
    plan: Plan,
    jobs: int,
    progress: Callable[[int], None],
    found: list[Violation],
    options: dict[str, Any],
) -> tuple[int, list[str]]:
    """Each process lives the whole life and cuts at every `jobs`-th operation of the plan. (cuts, digests of the lives)"""
    context = multiprocessing.get_context("spawn")  # the progress bar has threads: no forks of this process
    ops = sorted(plan)
    workers: dict[Connection, Any] = {}
    for job in range(jobs):
        ours, theirs = context.Pipe()
        share = {op: plan[op] for op in ops[job::jobs]}
        worker = context.Process(target=_work, args=(theirs, job, seed, truth, share, options), daemon=True)
        worker.start()
        theirs.close()
        workers[ours] = worker
    tried, digests = 0, []
    try:
        while workers:
            for pipe in wait(list(workers)):
                try:
                    told = pipe.recv()
                except EOFError:
                    raise SimError("a process of the storm ended without a word -> run it with --jobs 1") from None
                if isinstance(told, tuple):
                    tried += told[0]
                    found.extend(told[1])
                    progress(tried)
                else:
                    workers.pop(pipe).join()
                    if told.startswith("!"):
                        raise SimError(told[1:])
                    digests.append(told)
    finally:
        for worker in workers.values():
            worker.terminate()
    return tried, digests


def _work(pipe: Connection, job: int, seed: int, truth: Truth, plan: Plan, options: dict[str, Any]) -> None:
    if hasattr(os, "sched_setaffinity"):  # a VM and its host take turns on one core; each job has its own
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[job % len(cores)]})
    try:
        tell = lambda op, cuts, violations: pipe.send((cuts, violations))  # noqa: E731
        pipe.send(Storm(seed, truth, lambda op: plan.get(op, ()), tell, **options).run())
    except SimError as error:
        pipe.send(f"!{error}")
