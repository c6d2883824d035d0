"""A limit on what may be spent, held inside the answer: the stream is cut when the running cost reaches it."""

from dataclasses import field
from decimal import Decimal

from tui_chat.core.completion import Completion
from tui_chat.core.format import amount
from tui_chat.core.record import entity


@entity
class SpendLimit:
    """A cap in USD over one answer, or over all answers that share the object (`ask --max-cost`)."""

    usd: Decimal
    words: str
    """What the user calls it: `--max-cost`, `budget.per_answer_usd`."""
    _spent: dict[str, Decimal] = field(default_factory=dict)

    def reached(self, completion: Completion) -> bool:
        """Note what `completion` cost so far and say whether the cap is reached.

        An answer that costs nothing, or has no known price, never reaches it.
        """
        return self._reached(completion.id, completion.cost.usd)

    def refuses(self, completion: Completion) -> bool:
        """Say whether the input of `completion` alone reaches the cap; if not, that much is set aside for it."""
        refused = self._reached(completion.id, completion.input_cost.usd)
        if refused:
            del self._spent[completion.id]
        return refused

    def _reached(self, completion_id: str, usd: Decimal | None) -> bool:
        self._spent[completion_id] = usd or Decimal(0)
        return bool(usd) and sum(self._spent.values()) >= self.usd

    def reason(self) -> str:
        return f"stopped by {self.words} = {amount(self.usd)}; raise it to hear more"

    def refusal(self) -> str:
        return f"not sent: the prompt alone costs as much as {self.words} = {amount(self.usd)} allows; raise it to ask"
