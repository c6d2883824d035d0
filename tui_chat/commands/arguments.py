"""The command line as people type it, and what loads each command.

Apart from the front: without arguments there is nothing to read, and the app starts without argparse.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import NoReturn

from tui_chat import __version__
from tui_chat.commands.output import say, write_text
from tui_chat.core.errors import ConfigurationError

Run = Callable[[], int]
_MOST_DAYS = 100_000
_MOST_REQUESTS = 256
_MOST_USD = 10**12
"""As for the amounts in config.toml."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and prints help into a pipe that may be closed."""

    def error(self, message: str) -> NoReturn:
        say(f"error: {message}; see {self.prog} --help")
        sys.exit(2)

    def _print_message(self, message: str, file: object = None) -> None:
        del file
        code = write_text(message)
        if code:
            sys.exit(code)


def load(arguments: Sequence[str], came: list[int]) -> tuple[Run, bool]:
    """Load what is asked for; return it, and whether a signal ends it before it runs. `came` is for `ask`."""
    options = _parser().parse_args(arguments)
    options.came = came
    command: Run = options.load(options)
    return command, options.load is not _ask  # which tells of a signal in its own way


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="tui-chat",
        description="A terminal chat client that counts every token while it streams and stops with one key.",
        epilog="Without a command: the full-screen app.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tui-chat {__version__}")
    parser.add_argument("-m", "--model", metavar="MODEL", help="the model to start with, as provider/model")
    _conversation(parser, default=None)
    parser.set_defaults(load=_app)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    ask = commands.add_parser("ask", help="answer a prompt on stdout", allow_abbrev=False)
    ask.add_argument("prompt", nargs="?", metavar="PROMPT", help="the prompt; what is piped in follows it")
    ask.add_argument("-m", "--model", action="append", default=[], dest="models", metavar="MODEL", help="repeatable")
    ask.add_argument("-s", "--system", metavar="SYSTEM", help="the system prompt")
    ask.add_argument(
        "-f", "--file", action="append", default=[], dest="files", metavar="FILE", help="send a file along"
    )
    _conversation(ask)
    ask.add_argument("--json", action="store_true", help="one JSON object for each model")
    ask.add_argument("-q", "--quiet", action="store_true", help="no cost line on stderr")
    ask.add_argument("--max-cost", type=_usd, metavar="USD", help="stop all answers when they cost this much together")
    ask.add_argument("--no-save", action="store_true", help="keep no text; what it cost is still counted")
    ask.set_defaults(load=_ask)

    models = commands.add_parser("models", help="the models that can be used now, and what they cost")
    models.add_argument("--all", action="store_true", help="every model known")
    models.add_argument("--json", action="store_true")
    models.add_argument("--refresh", action="store_true", help="ask every provider for its list of models first")
    models.add_argument("--project", type=_count, metavar="10M", help="what so many output tokens cost")
    models.set_defaults(load=_models)

    usage = commands.add_parser("usage", help="what was spent, by day, model, conversation or provider")
    usage.add_argument("--by", choices=("day", "model", "conversation", "provider"), default="day")
    since = usage.add_mutually_exclusive_group()
    since.add_argument("--since", type=_day, metavar="YYYY-MM-DD", help="only from this day on")
    since.add_argument("--days", type=_days, metavar="N", help="only the last N days, today included")
    form = usage.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true")
    form.add_argument("--csv", action="store_true")
    usage.set_defaults(load=_usage)

    export = commands.add_parser("export", help="write conversations as JSON or markdown")
    export.add_argument("ids", nargs="*", metavar="ID")
    export.add_argument("--all", action="store_true", help="every conversation")
    export.add_argument("--format", choices=("json", "markdown", "html"), default="json", help="html: not yet")
    export.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")
    export.set_defaults(load=_export)

    import_ = commands.add_parser("import", help="read conversations from an export")
    import_.add_argument("file", metavar="FILE")
    import_.set_defaults(load=_import)

    compare = commands.add_parser("compare", help="ask several models the prompts of a file", allow_abbrev=False)
    compare.add_argument("file", metavar="FILE", help='JSON Lines with a "prompt" each, or text; - is stdin')
    compare.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        dest="models",
        metavar="MODEL",
        help="repeatable; else compare_models",
    )
    compare.add_argument("-s", "--system", metavar="SYSTEM", help="the system prompt")
    compare.add_argument("--parallel", type=_requests, metavar="N", help="requests at once, over all models (4)")
    compare.add_argument("--format", choices=("table", "markdown", "csv", "json"), dest="form")
    compare.add_argument("-o", "--output", metavar="PATH", help="a file instead of stdout")
    compare.add_argument("--again", action="store_true", help="start over, instead of asking only what is left")
    compare.add_argument("--max-cost", type=_usd, metavar="USD", help="stop the run when it costs this much")
    compare.add_argument("-q", "--quiet", action="store_true", help="no progress on stderr")
    compare.set_defaults(load=_compare)

    doctor = commands.add_parser("doctor", help="what keeps the program from working, and what to do about it")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(load=_doctor)

    commands.add_parser("keys", help="all keys of the app").set_defaults(load=_keys)
    config = commands.add_parser("config", help="where the configuration is, and what can stand in it")
    config.add_argument("--defaults", action="store_true", help="every key with its default and a line of explanation")
    config.set_defaults(load=_config)
    for name in _LATER:  # without help they are in no list
        commands.add_parser(name, allow_abbrev=False).set_defaults(load=_not_yet(name))
    return parser


_LATER = ("serve",)


def _conversation(parser: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add the options for going on; they count before a command and behind it, so only the first sets a default."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "-c",
        "--continue",
        action="store_const",
        const=True,
        default=default,
        dest="latest",
        help="go on with the latest conversation",
    )
    which.add_argument("--conversation", metavar="ID", default=default, help="go on with this conversation")


def _usd(text: str) -> Decimal:
    try:
        value = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount in USD, such as 0.05")
    if value > _MOST_USD:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {_MOST_USD:,} USD")
    return value


def _count(text: str) -> int:
    from tui_chat.commands.models import count_of

    try:
        return count_of(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def _requests(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= _MOST_REQUESTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of requests, from 1 to {_MOST_REQUESTS}")
    return int(text[:6])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day, such as 2026-01-31") from None


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days, such as 30")
    return int(text[:6])


# what loads a command


def _app(options: argparse.Namespace) -> Run:
    from tui_chat.commands.app import app

    return partial(app, options.model, options.conversation, latest=bool(options.latest))


def _ask(options: argparse.Namespace) -> Run:
    from tui_chat.commands.ask import AskOptions, ask

    asked = AskOptions(
        prompt=options.prompt,
        models=tuple([options.model] if options.model else []) + tuple(options.models),
        system=options.system,
        files=tuple(options.files),
        latest=bool(options.latest),
        conversation=options.conversation,
        as_json=options.json,
        quiet=options.quiet,
        max_cost=options.max_cost,
        keep_text=not options.no_save,
    )
    return partial(ask, asked, options.came)


def _models(options: argparse.Namespace) -> Run:
    from tui_chat.commands.models import models

    return partial(models, known=options.all, as_json=options.json, project=options.project, refresh=options.refresh)


def _usage(options: argparse.Namespace) -> Run:
    from tui_chat.commands.usage import Form, usage

    form: Form = "json" if options.json else "csv" if options.csv else "table"
    return partial(usage, options.by, form, since=options.since, days=options.days)


def _export(options: argparse.Namespace) -> Run:
    from tui_chat.commands.files import export

    return partial(export, options.ids, options.format, options.output, everything=options.all)


def _import(options: argparse.Namespace) -> Run:
    from tui_chat.commands.files import import_file

    return partial(import_file, options.file)


def _compare(options: argparse.Namespace) -> Run:
    from tui_chat.commands.compare import compare
    from tui_chat.commands.compare_run import CompareOptions

    asked = CompareOptions(
        file=options.file,
        models=tuple([options.model] if options.model else []) + tuple(options.models),
        parallel=options.parallel,
        system=options.system,
        form=options.form,
        output=options.output,
        again=options.again,
        max_cost=options.max_cost,
        quiet=options.quiet,
    )
    return partial(compare, asked)


def _doctor(options: argparse.Namespace) -> Run:
    from tui_chat.commands.doctor import doctor

    return partial(doctor, as_json=options.json)


def _keys(_options: argparse.Namespace) -> Run:
    from tui_chat.commands.reference import keys_table

    return lambda: write_text(keys_table())


def _config(options: argparse.Namespace) -> Run:
    from tui_chat.commands.reference import config_text

    return lambda: write_text(config_text(defaults=options.defaults))


def _not_yet(name: str) -> Callable[[argparse.Namespace], Run]:
    def load(_options: argparse.Namespace) -> Run:
        raise ConfigurationError(f"tui-chat {name} is not built yet in version {__version__}")

    return load
