#!/usr/bin/env python3
"""Run a management command, with the embedded servers unless the environment names others."""

import os
import sys
from contextlib import nullcontext

from django.core.management import execute_from_command_line

from hub import services
from hub.embedded import ServiceError

NEED_NO_SERVERS = {"help", "--help", "-h", "version", "--version", "check", "collectstatic"}


def main() -> None:
    """Run the command of the command line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    alone = len(sys.argv) < 2 or bool(NEED_NO_SERVERS & set(sys.argv[1:]))
    try:
        with nullcontext() if alone else services.running(services.data_dir()):
            execute_from_command_line(sys.argv)
    except ServiceError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
