"""One thing that was looked at, and what came of it."""

from typing import Literal

from tui_chat.core.record import record

Status = Literal["ok", "warn", "fail"]


@record
class Check:
    group: str
    """What it belongs to: `files`, `providers`."""
    name: str
    status: Status
    """`fail` only for what keeps the program from working as configured."""
    detail: str
    next_step: str | None = None

    @property
    def full_name(self) -> str:
        """Its name on its own: `providers.work`; what is the only one of its group has the group's."""
        return self.group if self.name == self.group else f"{self.group}.{self.name}"


def told(group: str, name: str, message: str, status: Status = "fail", step: str | None = None) -> Check:
    """Return the check for an error's message, whose next step stands behind its last semicolon."""
    what, mark, own_step = message.rpartition("; ")
    return Check(group, name, status, what, own_step) if mark else Check(group, name, status, message, step)


def size(count: int) -> str:
    """Return so many bytes for a person: `812 B`, `4.2 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"
