"""A verb's result: words for a person, or JSON for a program. Errors are words on standard error in both cases."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument that asks for JSON."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def show(arguments: argparse.Namespace, value: Mapping[str, Any], words: str) -> None:
    """Print a result.

    Args:
        arguments: of the verb; whether JSON is wanted.
        value: the result for programs.
        words: the same for people.
    """
    print(json.dumps(value) if arguments.json else words)
