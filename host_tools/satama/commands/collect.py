"""`satama collect`: what the gateways send, ordered, without duplicates, with an account of gaps, into a CSV or Parquet file."""

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from ..broker import live
from ..collecting import files as collect_files
from ..collecting.collector import District
from ..collecting.rows import district_rows
from ..core.problems import Problems
from .shared import (
    WRONG_USE,
    CaOption,
    ForOption,
    JsonOption,
    PasswordOption,
    RootOption,
    UserOption,
    fail,
    refuse,
)

BrokerOption = Annotated[str, typer.Option("--broker", help="HOST or HOST:PORT", show_default=False)]

_MOST_HOLES = 20  # shown; all of them with --json


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(collect)


def collect(
    broker: BrokerOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="the .csv or .parquet file to write", show_default=False)],
    root: RootOption = "district/v1",
    site: Annotated[str, typer.Option(help="only this site")] = "",
    gateway: Annotated[str, typer.Option(help="only this gateway")] = "",
    duration: ForOption = None,
    count: Annotated[int | None, typer.Option(min=1, help="end when so many samples have come")] = None,
    user: UserOption = "",
    password_file: PasswordOption = None,
    ca: CaOption = None,
    client_id: Annotated[str, typer.Option(help="a name; the broker then keeps what comes between two runs")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace the file if it exists")] = False,
    as_json: JsonOption = False,
) -> None:
    """Subscribe, order, remove duplicates, place samples in time, and write a CSV or Parquet file. Ctrl-C writes what has come."""
    if any(mark in part for part in (root, site, gateway) for mark in "+#"):
        refuse("--root, --site and --gateway are names, without + and #", as_json, WRONG_USE)
    try:
        where = live.access(broker, user, password_file, ca, client_id)
        for_s = live.seconds(duration) if duration else None
        collect_files.check_target(out, force)
    except ValueError as error:
        refuse(str(error), as_json, WRONG_USE)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)
    district = District(root, site, gateway)
    trouble = _listen(district, where, for_s, count)
    try:
        written = collect_files.write(out, district_rows(district)) if district.gateways or not trouble else 0
    except Problems as error:
        fail(error, as_json, code=1)
    if trouble:
        refuse(trouble, as_json, 1)
    facts = summary(district) | {"out": str(out), "rows": written}
    typer.echo(json.dumps(facts) if as_json else "\n".join(as_text(facts)))
    if not facts["ok"]:
        raise typer.Exit(1)


def _listen(district: District, where: live.Access, for_s: float | None, count: int | None) -> str:
    """Feed the collectors; what went wrong, or an empty text."""
    samples = 0
    try:
        with closing(live.messages(where, [district.topic_filter], for_s)) as arriving:
            for topic, payload in arriving:
                samples += len(district.feed(topic, payload))
                if count is not None and samples >= count:
                    break
    except KeyboardInterrupt:
        pass
    except live.LiveError as error:
        return str(error)
    return ""


def summary(district: District) -> dict[str, Any]:
    """What has come and what has not, as plain data. `ok`: nothing is missing and nothing was damaged."""
    gateways = []
    for name, collector in district:
        holes = collector.account.holes()
        placed = [collector.placing.place(sample).by for view in collector.streams.values() for sample in view.samples]
        ledger = collector.diag.get("ledger", {})
        ledger = ledger if isinstance(ledger, dict) else {}
        gateways.append(
            {
                "gateway": name,
                "streams": sum(view.count > 0 or not view.retired for view in collector.streams.values()),
                "samples": collector.decoded,
                "duplicates": collector.duplicates,
                "unplaced": placed.count("unknown"),
                "holes": [{"ep": hole.epoch, "from": hole.first, "to": hole.last} for hole in holes],
                "missing_records": sum(hole.count for hole in holes),
                "acknowledged_but_unseen": collector.account.unseen,
                "reports": collector.account.reports,
                "dropped_by_gateway": ledger.get("dropped"),
                "waiting_for_schema": collector.waiting,
                "errors": collector.errors,
                "last_error": collector.last_error,
            }
        )
    flaws = ("missing_records", "acknowledged_but_unseen", "waiting_for_schema", "errors")
    return {"ok": not any(row[key] for row in gateways for key in flaws), "gateways": gateways}


def as_text(facts: dict[str, Any]) -> list[str]:
    lines = [f"wrote {facts['out']}, {facts['rows']} rows"]
    for row in facts["gateways"]:
        counts = f"{row['samples']} samples in {row['streams']} streams, {row['duplicates']} duplicates removed"
        lines.append(f"{row['gateway']}: {counts}")
        if row["unplaced"]:
            lines.append(f"  {row['unplaced']} samples without a time: no event 'time' of their start has come yet")
        for hole in row["holes"][:_MOST_HOLES]:
            records = (
                f"record {hole['from']}" if hole["from"] == hole["to"] else f"records {hole['from']}..{hole['to']}"
            )
            lines.append(f"  gap: {records} of epoch {hole['ep']}")
        if len(row["holes"]) > _MOST_HOLES:
            lines.append(f"  and {len(row['holes']) - _MOST_HOLES} more gaps")
        if row["acknowledged_but_unseen"]:
            lines.append(f"  the broker acknowledged {row['acknowledged_but_unseen']} samples that never came here")
        elif row["reports"]:
            lines.append(f"  agrees with the gateway's ledger in {row['reports']} of its reports")
        if row["dropped_by_gateway"]:
            lines.append(f"  the gateway itself has given up {row['dropped_by_gateway']} samples since its start")
        if row["waiting_for_schema"]:
            lines.append(f"  {row['waiting_for_schema']} compact packets cannot be read: their schema has not come")
        if row["errors"]:
            lines.append(f"  {row['errors']} damaged payloads, the last: {row['last_error']}")
    if not facts["gateways"]:
        lines.append("no gateway has sent anything under this root")
    return lines
