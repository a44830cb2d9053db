"""`satama send-certs`: a gateway's next certificates reach it over its broker; nobody has to go there."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..broker import live, send_certs
from ..broker.send_certs import Parcel, Verdict
from ..core.problems import Problems, Wrong
from ..site_file.site import Site, load_site
from ..trust import certificates
from .shared import WRONG_USE, CaOption, JsonOption, PasswordOption, SiteArgument, UserOption, fail, refuse

_SAID = {
    "kept": "kept: a connection to its broker has proved it",
    "dropped": "taken away: the gateway goes by its site file again",
    "refused": "refused",
    "unheard": "nothing was heard of it",
}


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command(name="send-certs")(send)


def send(
    site: SiteArgument,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="CA certificates to be trusted beside the site's, or one client certificate", show_default=False
        ),
    ] = None,
    take_away: Annotated[
        Literal["ca", "client"] | None, typer.Option("--take-away", help="go back to those of the site file")
    ] = None,
    broker: Annotated[str, typer.Option("--broker", help="HOST or HOST:PORT; else the site's first")] = "",
    user: UserOption = "",
    password_file: PasswordOption = None,
    ca: CaOption = None,
    cert: Annotated[
        Path | None, typer.Option("--cert", help="our own certificate (PEM), if the broker asks for one")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="the private key of --cert (PEM)")] = None,
    wait: Annotated[str, typer.Option("--wait", help="for the gateway's answer: 90s, 3m")] = "3m",
    as_json: JsonOption = False,
) -> None:
    """Send certificates to a gateway over its broker, and wait until it has proved them by a connection. Needs the right to publish there."""
    try:
        form, source = load_site(site)
        folder = source.path.parent
        parcel = _parcel(form, folder, files or [], take_away)
        host, port = form.mqtt.brokers[0]
        trusted = ca or [folder / name for name in form.mqtt.ca]
        where = live.access(broker or f"{host}:{port}", user, password_file, trusted, cert=cert, key=key)
        wait_s = live.seconds(wait)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)
    except Wrong as wrong:
        refuse(f"{wrong.what} -> {wrong.hint}", as_json, WRONG_USE)
    except ValueError as error:
        refuse(str(error), as_json, WRONG_USE)
    try:
        verdict = send_certs.send(where, parcel, wait_s)
    except live.LiveError as error:
        refuse(str(error), as_json, 1)
    except KeyboardInterrupt:
        refuse(
            "ended before the gateway answered -> the message may have gone: the same command again is safe", as_json, 1
        )
    ok = verdict.what in ("kept", "dropped")
    typer.echo(
        json.dumps({"ok": ok} | _facts(parcel, verdict)) if as_json else _text(form, parcel, verdict),
        err=not (ok or as_json),
    )
    raise typer.Exit(0 if ok else 1)


def _parcel(form: Site, folder: Path, files: list[Path], take_away: Literal["ca", "client"] | None) -> Parcel:
    """Raises Wrong."""
    if form.mqtt.insecure:
        raise Wrong("this site speaks plain TCP, where no certificate counts", "TLS first: satama certs SITE tells how")
    if bool(files) == bool(take_away):
        raise Wrong("either certificates are sent or some are taken away", "FILE..., or --take-away ca")
    return (
        send_certs.taken_away(form, take_away)
        if take_away
        else send_certs.parcel(form, folder, files, certificates.today())
    )


def _facts(parcel: Parcel, verdict: Verdict) -> dict[str, Any]:
    return {
        "which": parcel.which,
        "sha256": parcel.digits,
        "verdict": verdict.what,
        "why": verdict.why,
        "hint": verdict.way_out,
        "topic": parcel.topic,
    }


def _text(form: Site, parcel: Parcel, verdict: Verdict) -> str:
    said = f"{form.site.gateway}, {parcel.which} {parcel.digits}".rstrip() + f": {_SAID[verdict.what]}"
    if verdict.why:
        said += f": {verdict.why}"
    return said + (f" -> {verdict.way_out}" if verdict.way_out else "")
