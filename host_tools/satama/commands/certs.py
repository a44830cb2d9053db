"""`satama certs`: which certificates the gateway works with, when they end, and what to do next, in which order."""

import json
from datetime import datetime
from typing import Annotated, Any

import typer

from ..core.problems import Problems, Source, Wrong
from ..site_file.mqtt import Mqtt
from ..site_file.site import load_site
from ..trust import ask_broker, certificates
from ..trust.certificates import SOON_DAYS, Certificate
from .shared import WRONG_USE, JsonOption, SiteArgument, fail


def register(app: typer.Typer) -> None:
    """Add the command to the `satama` command."""
    app.command()(certs)


def certs(
    site: SiteArgument,
    ask: Annotated[bool, typer.Option("--ask", help="connect to the brokers and see what they present")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the certificates of a site, when they end and what to do next. Ends with 1 when something is to be done soon."""
    try:
        form, source = load_site(site)
        held = read_all(form.mqtt, source)
    except Problems as error:
        fail(error, as_json, code=WRONG_USE)
    now = certificates.today()
    rows = [row(role, one, now) for role, one in held]
    steps = next_steps(form.mqtt, held, now)
    urgent = any(row["days"] < SOON_DAYS for row in rows) or any(row["days_until_valid"] > 0 for row in rows)
    shown = (
        [ask_broker.ask(*place, [one for role, one in held if role == "ca"], now) for place in form.mqtt.brokers]
        if ask and not form.mqtt.insecure
        else []
    )
    urgent = urgent or any(one["error"] or one["days"] < SOON_DAYS for one in shown)
    if as_json:
        broker = [f"{host}:{port}" for host, port in form.mqtt.brokers]
        facts = {
            "ok": not urgent,
            "brokers": broker,
            "tls": not form.mqtt.insecure,
            "certificates": rows,
            "next": steps,
        }
        facts |= {"shown": shown} if ask else {}
        typer.echo(json.dumps(facts))
    else:
        _tell(rows)
        _tell_shown(shown)
        for number, step in enumerate(steps, 1):
            typer.echo(f"{number}. {step}")
        if not urgent and not steps:
            typer.echo("nothing to do")
    raise typer.Exit(1 if urgent else 0)


def read_all(mqtt: Mqtt, source: Source) -> list[tuple[str, Certificate]]:
    """(role, certificate), role "ca" or "client". Raises Problems when a file cannot be read."""
    named = [("ca", name) for name in mqtt.ca] + ([("client", mqtt.client_cert)] if mqtt.client_cert else [])
    held, problems = [], []
    for role, name in named:
        try:
            found = certificates.read_certificates(source.path.parent / name)
        except Wrong as wrong:
            key = "ca" if role == "ca" else "client_cert"
            problems.append(source.problem(("mqtt", key), f"{key}: {wrong.what}", wrong.hint))
            continue
        held += [(role, one) for one in (found if role == "ca" else found[:1])]
    if problems:
        raise Problems(problems)
    return held


def row(role: str, one: Certificate, now: datetime) -> dict[str, Any]:
    """One certificate as plain data."""
    return {
        "role": role,
        "file": one.place,
        "name": one.name,
        "key": certificates.key_name(one),
        "begins": f"{one.begins:%Y-%m-%d}",
        "ends": f"{one.ends:%Y-%m-%d}",
        "days": one.days(now),
        "days_until_valid": max(0, -((now - one.begins).days)),
        "sha256": one.fingerprint,
    }


def next_steps(mqtt: Mqtt, held: list[tuple[str, Certificate]], now: datetime) -> list[str]:
    """Sentences, in the order in which they are to be done; empty when nothing is."""
    if mqtt.insecure:
        return [
            "plain TCP: nobody is verified and everybody on the way may read; ask the broker's operator for TLS and its CA"
        ]
    steps = _for_ca([one for role, one in held if role == "ca"], now)
    return steps + [step for role, one in held if role == "client" for step in _for_client(one, now)]


def _for_ca(held: list[Certificate], now: datetime) -> list[str]:
    if not held:
        return ['no CA is named: get the certificate of the CA that signs the broker\'s, and write ca = "ca.pem"']
    lasting = [one for one in held if one.days(now) >= SOON_DAYS and one.begins <= now]
    ending = [one for one in held if one.days(now) < SOON_DAYS]
    coming = [one for one in held if one.begins > now and one not in ending]
    if not lasting and not coming:
        names = ", ".join(f'"{name}"' for name in dict.fromkeys(one.path.name for one in held))
        ends = max(one.ends for one in held)
        late = (
            " (that is past: gateways without a valid CA do not connect, and keep their samples)" if ends < now else ""
        )
        return [
            "get the certificate of the CA that comes next from the broker's operator; the broker keeps its present one for now",
            f'write both into the site file, ca = [{names}, "new-ca.pem"], and run `satama check`',
            f"send the new one to every gateway before {ends:%Y-%m-%d}{late}: satama send-certs SITE new-ca.pem; each then accepts both"
            " (at the cabinet `satama deploy` does it, too)",
            "only when every gateway has both: the broker changes to a certificate signed by the new CA",
            "when all are connected again, take the old CA out of the list; that may wait for the next deploy",
        ]
    steps = []
    if coming:
        first = min(one.begins for one in coming)
        steps.append(
            f"the broker must not change to {coming[0].name!r} before {first:%Y-%m-%d}: until then it does not count"
        )
    if len(held) > 1 and (lasting or coming):
        names = " and ".join(repr(one.name) for one in held)
        steps.append(
            f"this site file accepts {names}: bring it to every gateway before the broker's certificate changes"
        )
    for one in ending:
        done = f"ended on {one.ends:%Y-%m-%d}" if one.ends < now else f"ends on {one.ends:%Y-%m-%d}"
        steps.append(
            f"{one.name!r} {done}: by then the broker needs a certificate signed by another CA of the list; then take {one.place} out"
        )
    return steps


def _for_client(one: Certificate, now: datetime) -> list[str]:
    if one.days(now) >= SOON_DAYS:
        return []
    return [
        f"client certificate {one.name!r}: have another one issued for the same key by the CA that the broker knows",
        f"send it before {one.ends:%Y-%m-%d}: satama send-certs SITE new-client.pem; then name it in client_cert for the next deploy",
        "for a new key both go to the gateway by cable: client_cert and client_key, `satama check`, `satama deploy`",
    ]


def _tell(rows: list[dict[str, Any]]) -> None:
    for one in rows:
        days = one["days"]
        left = f"ends in {days} days" if days >= 0 else f"ended {-days} days ago"
        if one["days_until_valid"]:
            left += f", counts from {one['begins']} on"
        typer.echo(f"{one['role']:6} {one['name']!r}, {one['key']}, {one['file']}: {left}, on {one['ends']}")


def _tell_shown(shown: list[dict[str, Any]]) -> None:
    for one in shown:
        told = (
            f"{one['broker']} presents now {one['name']!r}, for {', '.join(one['names']) or 'no name'}, ends in {one['days']} days; "
            if "name" in one
            else f"{one['broker']}: "
        )
        typer.echo(told + (one["error"] or f"signed by {' and '.join(map(repr, one['signed_by']))}"))
