"""Which options a provider's server refused, so that it is not asked in vain with every prompt.

An option that has to do with the model (a reasoning model that takes no temperature) is remembered for that model, any
other for all models of the provider. Where it is kept between runs is the business of whoever makes the `Refusals`.
"""

from collections.abc import Callable, Mapping

_OF_THE_SERVER = frozenset(("stream_options", "max_tokens"))
_ALL = "*"

Refused = Mapping[str, list[str]]
"""Model id (`*` = all) → options."""


class Refusals:
    """The refused options of one provider."""

    def __init__(self, read: Callable[[], Refused] = dict, keep: Callable[[Refused], None] | None = None) -> None:
        """`read` is called when it is first asked for, `keep` with everything after each addition."""
        self._read = read
        self._keep = keep
        self._refused: dict[str, list[str]] | None = None

    def of(self, model_id: str) -> frozenset[str]:
        """Return what is not to be sent to a model."""
        refused = self._all()
        return frozenset((*refused.get(_ALL, ()), *refused.get(model_id, ())))

    def add(self, model_id: str, option: str) -> None:
        refused = self._all()
        options = refused.setdefault(_ALL if option in _OF_THE_SERVER else model_id, [])
        if option not in options:
            options.append(option)
            if self._keep is not None:
                self._keep(refused)

    def _all(self) -> dict[str, list[str]]:
        if self._refused is None:
            self._refused = {model: list(options) for model, options in self._read().items()}
        return self._refused
