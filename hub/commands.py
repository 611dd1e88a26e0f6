"""Management commands that answer people in words and scripts in JSON."""

from argparse import ArgumentParser
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, NoReturn

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser


class JsonCommand(BaseCommand):
    """A command whose `run` returns a mapping; `--json` prints exactly that, else `text` tells it.

    Exceptions listed in `refusals` are told on standard error with exit status 1, as is a result in
    which `failure` finds something wrong; that result is printed all the same.
    """

    refusals: ClassVar[tuple[type[Exception], ...]] = ()

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Give every such command its --json."""
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")
        parser.exit = partial(exit_with_1, parser)  # type: ignore[method-assign]
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, print, and fail if there is reason to."""
        as_json = options.pop("json")
        try:
            result = self.run(*args, **options)
        except self.refusals as error:
            raise CommandError(str(error)) from error
        self.stdout.write(written(result) if as_json else self.text(result))
        if failure := self.failure(result):
            raise CommandError(failure)

    def run(self, *args: Any, **options: Any) -> Mapping[str, Any]:
        """Do the work and return what --json prints."""
        raise NotImplementedError

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the result to a person."""
        return "\n".join(f"{name}: {value}" for name, value in result.items())

    def failure(self, result: Mapping[str, Any]) -> str:
        """Return why the command has failed although it ran to its end; nothing if it has not."""
        return ""


def exit_with_1(parser: CommandParser, status: int = 0, message: str | None = None) -> NoReturn:
    """Leave with status 1 where argparse says 2: a wrong argument is an error like any other."""
    ArgumentParser.exit(parser, min(status, 1), message)


def written(result: Mapping[str, Any]) -> str:
    """Write a result as JSON: decimals as strings, digit for digit, and dates as ISO 8601."""
    return msgspec.json.encode(result, enc_hook=str).decode()
