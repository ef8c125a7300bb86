"""Read a recipe of a stream: the file, every problem it has at once, and what it becomes."""

from __future__ import annotations

from pathlib import Path as FilePath

from calibkit.errors import RecipeError
from calibkit.recipe.load import model_choice, policy_choice, try_schemes
from calibkit.recipe.reading import Grammar, lines, says_stream, text_of, validated
from calibkit.recipe.recipe import CorpusRef
from calibkit.recipe.stream_checks import check_stream
from calibkit.recipe.stream_model import MethodSection, StreamDocument, stream_keys_of
from calibkit.recipe.stream_phases import phases_of
from calibkit.recipe.streams import MethodChoice, Stream, StreamGrid, StreamRecipe
from calibkit.recipe.writers import without_writers
from calibkit.recipe.yaml_source import read_source

STREAM_RECIPE = Grammar(StreamDocument, check_stream, stream_keys_of)


def is_stream(recipe: FilePath | str) -> bool:
    """Say whether a recipe is one of a stream: a file, or a text of more than one line.

    Raises what `load_stream_recipe` raises for a file that cannot be read.
    """
    is_text = isinstance(recipe, str) and "\n" in recipe
    text = str(recipe) if is_text else text_of(FilePath(recipe))
    return says_stream(read_source(text, "recipe"))


def load_stream_recipe(path: FilePath | str) -> StreamRecipe:
    """Read and check the file of a recipe of a stream.

    Raises RecipeError with every problem as ``file:line:column: path: message``, and BadInput for
    a file that cannot be read. An ordinary recipe is refused by name.
    """
    return parse_stream_recipe(text_of(FilePath(path)), str(path))


def parse_stream_recipe(text: str, file: str = "recipe.yaml") -> StreamRecipe:
    """Check the text of a recipe of a stream; ``file`` is what problems call it."""
    source = read_source(text, file)
    if isinstance(source.value, dict) and not source.problems and not says_stream(source):
        message = f"this recipe has no stream; run it with `calibkit evaluate {file}`"
        raise RecipeError(lines(file, [source.problem(("stream",), message)]))
    recipe = _recipe(validated(source, STREAM_RECIPE), text)
    start = recipe.start()
    try_schemes(start, source)
    lacking = [source.problem(("policies", a), text) for a, text in without_writers(start)]
    if lacking:
        raise RecipeError(lines(file, lacking))
    return recipe


def _recipe(document: StreamDocument, text: str) -> StreamRecipe:
    corpus, stream, grid = document.corpus, document.stream, document.grid
    return StreamRecipe(
        name=document.name,
        about=document.about,
        corpus=CorpusRef(
            corpus.name, corpus.source, corpus.share, corpus.pool, stream.hold_out_from
        ),
        models={alias: model_choice(alias, one) for alias, one in document.models.items()},
        policies={alias: policy_choice(alias, one) for alias, one in document.policies.items()},
        quantize=document.quantize,
        schemes=dict(document.schemes),
        stream=Stream(
            batch=stream.batch,
            hold_out=stream.hold_out,
            batches_from=stream.batches_from,
            hold_out_from=stream.hold_out_from,
            noise_seed=stream.noise_seed,
            phases=phases_of(stream),
        ),
        methods={alias: _method(alias, one) for alias, one in document.methods.items()},
        grid=StreamGrid(
            model=tuple(grid.model),
            method=tuple(grid.method),
            policy=tuple(grid.policy),
            size=tuple(grid.size),
            seed=tuple(grid.seed),
            bits=tuple(grid.bits),
            preset=tuple(grid.preset) if grid.preset else None,
        ),
        text=text,
    )


def _method(alias: str, section: MethodSection) -> MethodChoice:
    said = section.model_dump(exclude_none=True)
    for name in said.keys() & {"layers", "without"}:
        said[name] = tuple(said[name])
    return MethodChoice(alias, **said)
