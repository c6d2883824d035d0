"""A limit on what may be spent, held inside the answer: the stream is cut when the running cost reaches it."""

from dataclasses import dataclass, field
from decimal import Decimal

from tui_chat.core.completion import Completion
from tui_chat.core.format import amount


@dataclass(slots=True)
class SpendLimit:
    """A cap in USD over one answer, or over all answers that share the object (`ask --max-cost`)."""

    usd: Decimal
    words: str
    """What the user calls it: `--max-cost`, `budget.per_answer_usd`."""
    _spent: dict[str, Decimal] = field(default_factory=dict)

    def reached(self, completion: Completion) -> bool:
        """Note what `completion` cost so far and say whether the cap is reached; unknown prices never reach it."""
        self._spent[completion.id] = completion.cost.usd or Decimal(0)
        return sum(self._spent.values()) >= self.usd

    def reason(self) -> str:
        return f"stopped by {self.words} = {amount(self.usd)}; raise it to hear more"
