"""The history: whether it is whole, of our version, and in use."""

from tui_chat.bootstrap import Ground
from tui_chat.doctor.check import Check, size, told

CHECK_S = 4.0


def history(ground: Ground) -> tuple[list[Check], str | None]:
    """Return what there is to say, and the model that was used last."""
    seen = ground.inspect_history(CHECK_S)
    if seen.wrong is not None:
        return [told("history", "database", seen.wrong.replace(f" {ground.home.database}", "", 1))], None
    if not seen.exists:
        return [Check("history", "database", "ok", "none yet; it begins with the first prompt")], None
    facts = []
    if seen.conversations is not None:
        facts.append(f"{seen.conversations:,} conversation{'' if seen.conversations == 1 else 's'}")
    wal = f" and {size(seen.wal_bytes)} not merged yet" if seen.wal_bytes else ""
    facts.append(size(seen.size_bytes) + wal)
    if seen.version:
        facts.append(f"version {seen.version}" + _older(seen.version, seen.latest))
    if seen.journal:
        facts.append(f"{seen.journal} journal")
    checks = [Check("history", "database", "ok", ", ".join(facts))]
    if seen.checked:
        checks.append(Check("history", "integrity", "ok", "quick check passed"))
    elif seen.conversations is not None:
        checks.append(
            Check("history", "integrity", "ok", f"too large to check within {CHECK_S:g} s; so far it is fine")
        )
    elif seen.wal_bytes:
        detail = "not looked into: it was left in the middle of writing; the next start looks and mends"
        checks.append(Check("history", "integrity", "ok", detail))
    running = f"{seen.running} running now" if seen.running else "none running now"
    if seen.crashed:
        detail = f"{running}; one ended without saying goodbye"
        step = "start tui-chat: it keeps the text of answers that were cut, and marks them"
        checks.append(Check("history", "instances", "warn", detail, step))
    else:
        checks.append(Check("history", "instances", "ok", f"{running}, the last exit was clean"))
    return checks, seen.last_model


def _older(version: int, latest: int) -> str:
    return f" (the next start brings it to {latest} and keeps a copy)" if version < latest else ""
