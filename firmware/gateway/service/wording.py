"""How the console's answers read to a person. Loaded when a person asks, and let go afterwards."""


def text(name, answer):
    """Yield the lines that a person gets."""
    if name == "help":
        for row in answer["requests"]:
            yield "  {:10} {}".format(row["name"], row["about"])
    elif name == "status":
        yield "{gateway}  version {version}  config {config}  epoch {epoch}".format(**answer)
        yield "  up {} s, {} rounds, {} missed".format(answer["uptime_s"], answer["rounds"], answer["missed_slots"])
        yield "  network {network}, broker {broker} {broker_error}".format(**answer)
        yield "  time from {}".format(answer["time"]) + (
            ", unix {}".format(answer["unix_s"]) if answer["unix_s"] else ", not set"
        )
        for bus in answer["buses"]:
            yield "  bus {bus}: {requests} requests, {errors} errors".format(**bus)
        yield "  heap free {}".format(answer["heap_free"])
        yield "  start {boots}, by {reset_cause}, {mode} mode".format(**answer)
        if answer["failures"]:
            yield "  {} starts before this one failed".format(answer["failures"])
        if answer["crash"]:
            yield "  last crash: {}; more: crash".format(answer["crash"])
    elif name == "selftest":
        for row in answer["checks"]:
            mark = "ok " if row["ok"] else "RED" if row["ok"] is False else "..." if row.get("waits") else " - "
            yield "  {} {:8} {:32} {}".format(mark, row["check"], row["of"], row["said"])
        yield (
            "  passed"
            if answer["passed"]
            else "  NOT PASSED: what is RED is wrong, what is ... takes a while: ask again"
        )
    elif name == "crash":
        for key in ("error", "task", "at", "uptime_s", "of_epoch", "heap_free", "heap_largest"):
            if key in answer:
                yield "  {:12} {}".format(key, answer[key])
        if "error" not in answer:
            yield "  none is known"
    elif name == "restart":
        yield "  restarting in {} s".format(answer["restarting_in_s"])
    elif name == "slots":
        yield "  slot {running} runs, version {version}, config {config}".format(**answer)
        if answer["on_trial"]:
            yield "  on trial: slot {active} comes back unless it proves itself".format(**answer)
        yield "  the other slot: " + (answer["other"] or "empty")
    elif name == "switch":
        yield "  " + (answer.get("result") or "slot {switching_to} is tried in {restarting_in_s} s".format(**answer))
    elif name == "repl":
        yield "  in:  {in}, within {within_s} s; the gateway stops then, and keeps what it has".format(**answer)
        yield "  out: {out}, or mpremote reset; by itself in {by_itself_s} s".format(**answer)
    elif name == "buses":
        for row in answer["units"]:
            alive = "alive " if row["alive"] else "SILENT"
            yield "  {bus} {unit:>3} {device:24}".format(**row) + " {} {} requests, {}".format(
                alive, row["requests"], _said(row["errors"])
            )
            if not row["expected"]:
                yield "      NOT THE DEVICE that its profile describes: check type and unit number"
        for row in answer["listening"]:
            yield "  {bus} listening: {good} good, ".format(**row) + _said(row["errors"])
        for row in answer["texts"]:
            yield "  {}: {} {}".format(*row)
        for device, function, address in answer["learned"]:
            yield "  learned: {} refuses reads across register {} (function {})".format(device, address, function)
    elif name == "identify":
        for name, text in answer["says"]:
            yield "  {}: {}".format(name, text)
    elif name == "calibrate":
        yield "  {calibrated}: {result}".format(**answer)
    elif name == "exchange":
        yield "  {exchanged}: {result}".format(**answer)
    elif name == "history":
        if "result" in answer:
            yield "  {stream}: {result}".format(**answer)
        else:
            for seconds, value, kind, epoch, seq, confirmed in answer["samples"]:
                yield "  {:>11} {:>16}  {:9} {}.{}{}".format(
                    seconds, value, kind, epoch, seq, "" if confirmed else "  waits"
                )
            if answer["after"]:
                yield "  more: the same with {} behind it".format(answer["after"])
            elif not answer["samples"]:
                yield "  nothing"
    elif name == "trace":
        yield "  {bus}: uptime ms, unit, request, us to the answer, verdict, answer".format(**answer)
        for now_ms, unit, request, took_us, verdict, length, reply in answer["frames"]:
            yield "  {:>10} {:>3}  {}  {:>7}  {}".format(now_ms, unit, request, took_us, verdict)
            if length:
                yield "                  {}{}".format(reply, " ... {} bytes".format(length) if length > 33 else "")
    elif name == "points":
        for row in answer["points"]:
            yield "  {:32} {:>16}  {}".format(row["point"], row.get("value", "-"), row.get("reason", row["quality"]))
    elif name == "ledger":
        head = "  {:32} {:>9} {:>9} {:>7} {:>7} {:>7}"
        yield head.format("stream", "produced", "acked", "queued", "dropped", "quarant")
        for row in answer["streams"]:
            yield head.format(*row)
        yield head.format("all", *[answer[k] for k in ("produced", "acknowledged", "queued", "dropped", "quarantined")])
        yield "  balanced" if answer["balanced"] else "  NOT BALANCED: report this"


def _said(errors):
    return ", ".join(["{} {}".format(count, reason) for reason, count in errors]) or "no errors"
