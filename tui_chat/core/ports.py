"""What the core and the screen ask of the other rooms. Bootstrap hands the real ones in; nobody else knows them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tui_chat.core.calibration import Sample
from tui_chat.core.caps import Balance, Claim, Reserved, Span
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Conversation, Listing, ListingChanges, Page, Turn
from tui_chat.core.errors import StorageError
from tui_chat.core.events import StreamEvent
from tui_chat.core.format import Spent
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.pricing import Charge
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage

if TYPE_CHECKING:  # only who shows a report loads one
    from tui_chat.core.standing import Vote
    from tui_chat.core.usage_report import By, UsageRow, UsageTable

Paint = Callable[[StreamEvent], Awaitable[None]]
"""Called for every event once it was applied; awaiting it is the stream's back-pressure."""


class Provider(Protocol):
    def stream(self, request: Request) -> AsyncGenerator[StreamEvent, None]:
        """Yield the answer's events; once `Finished` came, only figures follow. Raises ProviderError and nothing else.

        An async generator: whoever iterates it must close it (`contextlib.aclosing`), which closes the socket.
        """
        ...

    async def aclose(self) -> None:
        """Close idle connections."""
        ...


@runtime_checkable
class KnownLength(Protocol):
    """A provider whose dialect may ask for a longest answer by itself."""

    def length_unasked(self, request: Request) -> int | None:
        """Return how long in tokens, where the user says none; `None` = the server decides."""
        ...


@runtime_checkable
class LateBilling(Protocol):
    """A provider that can be asked later what an answer cost that ended without its usage."""

    async def bill_of(self, request_id: str) -> tuple[Usage, Decimal] | None:
        """Return what was used and billed, in USD; `None` when it keeps no such account, or has none yet.

        Raises ProviderError.
        """
        ...


class Providers(Protocol):
    def provider(self, model: Model) -> Provider:
        """Return the provider of a model. Raises ConfigurationError when it cannot be used."""
        ...

    async def aclose(self) -> None: ...


class Reservations(Protocol):
    """Limits over many answers, kept for all programs that share the ledger."""

    def reserve(self, claim: Claim) -> Future[Reserved]:
        """Set money aside for an answer, or more of it, out of what the limits leave; it goes when its charge settles.

        One transaction, so that of several programs only one can take the rest. Fails with StorageError.
        """
        ...

    def balances(self, spans: Sequence[Span]) -> tuple[Balance, ...]:
        """How limits stand now, in their order. Raises StorageError."""
        ...


class Store(Reservations, Protocol):
    """The history. Reads are short and run where they are called; writes are queued for one writer thread.

    The futures of writes fail with StorageError. Reads raise StorageError.
    """

    @property
    def trouble(self) -> StorageError | None:
        """Why nothing can be written just now; `None` when all is well."""
        ...

    def conversations(self, limit: int | None = None) -> Listing:
        """All conversations that are not archived, pinned first, then the most recently updated."""
        ...

    def conversations_since(self, version: int) -> ListingChanges | None:
        """What changed since a listing of that version, whoever changed it; `None` when it must be read anew."""
        ...

    def conversation(self, conversation_id: str) -> Conversation | None:
        """Find one by its id, or by a prefix of it that fits only one."""
        ...

    def latest(self) -> Conversation | None:
        """The most recently updated conversation."""
        ...

    def tagged(self, tag: str) -> Conversation | None:
        """The newest conversation with a tag, archived ones too."""
        ...

    def path(self, conversation_id: str, tip_id: str | None = None) -> list[Turn]:
        """The turns from the first to `tip_id` (default: the conversation's tip), each with all its completions."""
        ...

    def page(
        self, conversation_id: str, tip_id: str | None = None, *, before: Turn | None = None, limit: int = 20
    ) -> Page:
        """The last turns of a path, or the last ones before a turn of it; costs what they cost, not what the path does.

        A turn of a batch comes with its mates. With `before` the tip does not matter.
        """
        ...

    def tree(self, conversation_id: str) -> list[Turn]:
        """All turns of all branches, parents before children."""
        ...

    def newest_tip(self, turn_id: str) -> str:
        """The last turn of the newest branch that goes through `turn_id` (itself when nothing goes on from it)."""
        ...

    def draft(self, conversation_id: str | None) -> str:
        """The unsent prompt of a conversation, or of the new one (`None`); empty when there is none."""
        ...

    def draft_attachments(self, conversation_id: str | None) -> tuple[BlobPart, ...]:
        """What is attached to the unsent prompt."""
        ...

    def prompts(self, limit: int = 200) -> list[str]:
        """Earlier prompts of all conversations, the newest first, without immediate repeats."""
        ...

    def last_model(self) -> str | None:
        """The model of the last send anywhere, as `provider/model`."""
        ...

    def recent_models(self) -> list[str]:
        """The models of the last sends anywhere, as `provider/model`, the newest first, each once; at most ten."""
        ...

    def favourite_models(self) -> list[str]:
        """The models that the user marked, as `provider/model`, in the order in which they were marked."""
        ...

    def save_favourites(self, names: Sequence[str]) -> Future[None]:
        """Keep the whole list of marked models."""
        ...

    def choice(self, name: str) -> str | None:
        """What the user answered once to a question that is not asked again; `None` when it never was."""
        ...

    def save_choice(self, name: str, value: str) -> Future[None]:
        """Keep such an answer."""
        ...

    def samples(self, provider: str, model_id: str) -> list[Sample]:
        """What a provider reported of a model beside our own counts, the oldest first."""
        ...

    def save_sample(self, provider: str, model_id: str, sample: Sample) -> Future[None]:
        """Keep a sample; of each kind only the last ones."""
        ...

    def finished_lengths(self, provider: str, model_id: str) -> list[int]:
        """Output tokens of the last answers of a model that came to their end, at most fifty."""
        ...

    def open_charges(self) -> dict[str, Decimal]:
        """What answers that run, here or elsewhere, were charged so far in USD, by their id; 0 where nobody knows."""
        ...

    def spent_since(self, since: datetime) -> Spent:
        """What all charges since an aware time amount to, play money left out."""
        ...

    def spent_in(self, conversation_id: str) -> Spent:
        """What all charges of a conversation amount to; play money counts here when nothing else does."""
        ...

    def charges_in(self, conversation_id: str) -> list[Charge]:
        """Every charge of a conversation in the order in which they were made, play money too."""
        ...

    def charges_of(self, completion_id: str) -> list[Charge]:
        """The charges of one answer, one for each try that may have cost something."""
        ...

    def start_turn(self, conversation: Conversation, turn: Turn) -> Future[None]:
        """Write conversation, turn and its pending completions; done when it is on disk."""
        ...

    def start_turns(self, conversation: Conversation, turns: Sequence[Turn]) -> Future[None]:
        """Write a conversation and the turns of one batch with their pending completions, all or none of them."""
        ...

    def start_completion(self, conversation: Conversation, completion: Completion) -> Future[None]:
        """Write one more pending completion of a stored turn."""
        ...

    def save_partial(self, completion: Completion, text: str, reasoning: str) -> Future[None]:
        """Append what arrived since the last call to a running completion."""
        ...

    def save_completion(self, conversation_id: str, completion: Completion) -> Future[None]:
        """Write the whole ended completion and its charge."""
        ...

    def save_charge(self, completion: Completion, conversation_id: str | None = None) -> Future[None]:
        """Write only the charge of a completion, running or ended, for answers whose text is not kept."""
        ...

    def open_charge(self, completion: Completion, conversation_id: str | None) -> Future[None]:
        """Write the charge of a request just before it is sent; take it back where it is not on its way after all."""
        ...

    def settle_attempt(self, completion: Completion, conversation_id: str | None, *, owed: bool) -> Future[None]:
        """Settle the charge of an attempt that failed and will be followed by another, which is charged by itself.

        Without `owed` the attempt cost nothing, whatever was written of it before.
        """
        ...

    def save_conversation(self, conversation: Conversation) -> Future[None]:
        """Write title, tip, model, tags, flags of a stored conversation."""
        ...

    def save_chosen(self, turn: Turn) -> Future[None]: ...

    def save_discarded(self, completion: Completion) -> Future[None]: ...

    def save_hidden(self, completions: Sequence[Completion]) -> Future[None]:
        """Note of some answers whether their columns are hidden."""
        ...

    def save_blind(self, turn: Turn) -> Future[None]: ...

    def save_vote(self, turn: Turn, winner: Completion | None) -> Future[None]:
        """Keep which answer of a turn, or of its batch, was the best; `None` = a tie. The last vote counts."""
        ...

    def save_draft(
        self, conversation_id: str | None, text: str, attachments: tuple[BlobPart, ...] = ()
    ) -> Future[None]:
        """Keep an unsent prompt with its attachments; without either the draft is forgotten."""
        ...

    def delete_conversation(self, conversation_id: str) -> Future[None]:
        """Delete a conversation and its text; its charges stay. Refused while another process answers in it."""
        ...

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued, then close; False when it did not finish in time."""
        ...


class UsageReport(Protocol):
    """The ledger, added up. Slow over a long history, so it is called in a thread. Raises StorageError."""

    def usage(self, by: "By", since: datetime | None = None) -> "UsageTable":
        """What all charges since an aware time come to, play money left out; days are local calendar days."""
        ...

    def daily(self, days: int) -> "tuple[UsageRow, ...]":
        """The last so many local days, the oldest first, today last; those without a charge too."""
        ...

    def votes(self) -> "list[Vote]":
        """Every vote in the order in which they were cast, those on deleted chats too."""
        ...


class ModelCatalog(Protocol):
    def resolve(self, name: str) -> Model:
        """Return the model for `provider/model`, or for a bare name that exactly one usable model ends in.

        Raises ConfigurationError that names the nearest when the name is unknown or fits several.
        """
        ...

    def usable(self) -> Sequence[Model]:
        """Every model that can be used now, those found first."""
        ...

    def known(self) -> Sequence[Model]:
        """Every model known, usable or not."""
        ...

    def first(self, conversation_model: str | None, last_used: str | None, *, scripted: bool) -> Model:
        """Return the model to start with, in the contract's order; `scripted` allows the demo as the last resort.

        Raises ConfigurationError when there is none.
        """
        ...

    def compare_models(self) -> Sequence[Model]: ...

    def starters(self) -> Sequence[Model]:
        """One model of each provider that can be used now, the demo last: what a first prompt may go to.

        Of a server on this machine only once it answered.
        """
        ...

    @property
    def version(self) -> int:
        """A number that grows whenever a provider's list or key changes what is known."""
        ...


class ModelLists(Protocol):
    """The lists of models that providers keep: asked in the background, kept for when there is no network."""

    async def refresh(self) -> bool:
        """Ask each provider whose list is a day old and whose key is at hand; True when the catalog changed.

        Never raises: a provider that does not answer keeps the list it had.
        """
        ...

    async def find_local(self) -> bool:
        """Ask the servers that may run on this machine, for less than two seconds; True when the catalog changed."""
        ...


@record
class KeyPlace:
    """A provider that needs a key."""

    provider: str
    title: str
    """Its name for people."""
    variable: str
    page: str
    """Where a key is made, as a host or an address without its scheme."""
    source: str
    """Where its key comes from now; empty when there is none."""
    before: str = ""
    """What goes before a stored key in the next run: a variable that is set, a command; empty when nothing does."""
    other_variables: tuple[str, ...] = ()
    """Further names in use for the variable."""


class Keys(Protocol):
    """Keys that the user hands over while the program runs. No key ever comes back out."""

    @property
    def where(self) -> str:
        """Where `keep` will put a key: `the keyring` or `config.toml`, as far as is known without loading anything."""
        ...

    def look_where(self) -> str:
        """Return the same for certain; may load and ask the system's keyring, so it is called in a thread."""
        ...

    def places(self) -> Sequence[KeyPlace]:
        """Every provider that needs a key, in the order of preference."""
        ...

    def guess(self, key: str) -> str | None:
        """Return the provider whose keys look like this, `None` when it could be of several."""
        ...

    async def try_key(self, provider: str, key: str) -> str:
        """Ask the provider whether it takes this key; return what it answered, for a person: `works, 63 models`.

        Raises ProviderError (`authentication` when it is refused) and ConfigurationError for what cannot be a key.
        """
        ...

    def keep(self, provider: str, key: str) -> str:
        """Store the key, use it from now on, and return where it is: `the keyring`, or the file. Raises ChatError."""
        ...


class Exporter(Protocol):
    def write(self, conversation_id: str, format_name: str) -> str:
        """Write one conversation into a file; return its path. Raises ChatError."""
        ...
