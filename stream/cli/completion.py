"""``stream-classify completion``, and what completing needs to know without importing what is slow."""

from __future__ import annotations

import ast
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from stream.cli.help import TaskCommand
from stream.installation import BUNDLED_MODELS

PROGRAM = "stream-classify"
VARIABLE = "_STREAM_CLASSIFY_COMPLETE"  # through which the shell's script asks for completions


@click.command(
    cls=TaskCommand,
    epilog="""\b
Install it, then start a new shell:
  bash  stream-classify completion bash \\
          > ~/.local/share/bash-completion/completions/stream-classify
  zsh   stream-classify completion zsh > ~/.zfunc/_stream-classify
          and in ~/.zshrc: fpath+=~/.zfunc; autoload -Uz compinit; compinit
  fish  stream-classify completion fish \\
          > ~/.config/fish/completions/stream-classify.fish
\b
For this shell alone:
  bash, zsh  eval "$(stream-classify completion bash)"
  fish       stream-classify completion fish | source
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which SHELL completes commands, options and the names of bundled models."""
    from stream.cli.app import app

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(app, {}, PROGRAM, VARIABLE).source())


def complete_model(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Bundled models by name, and files: those first, for bash's script forgets what stands before them."""
    names = [CompletionItem(name) for name in BUNDLED_MODELS if name.startswith(incomplete)]
    return [CompletionItem(incomplete, type="file"), *names]


def outline(entry: EntryPoint) -> click.Command:
    """A command of an entry point as far as completion needs it: options and choices, read from its source.

    Importing it would take seconds (torch), and fail where the extra is not installed.
    """
    file = _source(entry.module)
    options = [] if file is None else _options_of(file)
    files = click.Argument(["files"], nargs=-1, type=click.Path())
    return click.Command(entry.name, params=[*options, files])


def _options_of(file: Path) -> list[click.Option]:
    """Options that a file declares, or the file of options beside it: ``train_options.py`` of ``train.py``."""
    beside = file.with_name(f"{file.stem}_options.py")
    files = [file, beside] if beside.is_file() else [file]
    return [option for each in files for option in _options(ast.parse(each.read_bytes()))]


def _source(module: str) -> Path | None:
    """The file of a module, found without importing the packages it is in."""
    package, *rest = module.split(".")
    spec = PathFinder.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        path = Path(folder, *rest)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def _options(tree: ast.AST) -> list[click.Option]:
    """Options that are declared with literal names: every call of something named option."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] != "option":
            continue
        names = [
            argument.value
            for argument in node.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        if not any(name.startswith("-") for name in names):
            continue
        settings = {keyword.arg: keyword.value for keyword in node.keywords}
        kind = settings.get("type")
        found.append(
            click.Option(
                names,
                is_flag=_is_true(settings.get("is_flag")) or None,
                multiple=_is_true(settings.get("multiple")),
                type=_choice(kind) if kind is not None else None,
                help=_text(settings.get("help")),
            )
        )
    return found


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _choice(node: ast.expr) -> Any:
    """Literal choices; a path where the type is one; else no more than that there is a value."""
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func).rpartition(".")[2]
    if name == "Path":
        return click.Path()
    if name == "Choice" and node.args:
        try:
            return click.Choice([str(each) for each in ast.literal_eval(node.args[0])])
        except ValueError:
            return None
    return None
