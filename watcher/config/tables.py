"""One table at a time held against its model: what is wrong is collected, what is right goes on."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError

from watcher.config.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic_core import ErrorDetails

    from watcher.config.document import Place
    from watcher.config.errors import ConfigError
    from watcher.config.models import Table

T = TypeVar("T", bound="Table")
R = TypeVar("R")

_TEXTS = {
    "string_type": "must be a text in quotes",
    "int_type": "must be an integer",
    "bool_type": "must be true or false",
    "list_type": "must be a list, [ … ]",
    "tuple_type": "must be a list, [ … ]",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "missing": "is required",
    "value_error": "{error}",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


# For required keys that nothing else in their table depends on; with an error beside them nobody uses them.
_STAND_INS: Final[Mapping[str, object]] = {
    "name": "-",
    "id": "-",
    "btc": 0,
    "as_of": date(2009, 1, 3),
    "currency": "XXX",
}
_NONE: Final[Mapping[str, object]] = {}


def validated(
    model: type[T],
    raw: Mapping[str, object],
    place: Place,
    errors: list[ConfigError],
    stand_ins: Mapping[str, object] = _NONE,
) -> T | None:
    """The table as its model, after adding all that is wrong with it.

    Defaults and `stand_ins` stand in place of what is wrong, so that what belongs together is checked too;
    None where something wrong or missing has neither.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        errors.extend(_errors(model, error, place))
        wrong = {str(detail["loc"][0]) for detail in error.errors(include_input=False)}
    try:
        right = {key: value for key, value in raw.items() if key not in wrong}
        instead = {key: stand_ins[key] for key in wrong.intersection(_known(model), stand_ins)}
        checked = model.model_validate(right | instead)
    except ValidationError:
        return None
    # they were given: nobody is told that they are missing
    checked.model_fields_set.update(wrong.intersection(_known(model)))
    return checked


def joined(
    model: type[T],
    raw: Mapping[str, object],
    place: Place,
    errors: list[ConfigError],
    make: Callable[[T, list[ConfigError]], R],
) -> R | None:
    """What `make` makes of the table, after adding what is wrong with its keys and what `make` adds.

    Of a key that is wrong by itself no more is said.
    """
    wrong: list[ConfigError] = []
    checked = validated(model, raw, place, wrong, _STAND_INS)
    together: list[ConfigError] = []
    made = None if checked is None else make(checked, together)
    said = {(error.line, error.key) for error in wrong}
    errors.extend(wrong)
    errors.extend(error for error in together if (error.line, error.key) not in said)
    return made


def tolerated(model: type[T], raw: Mapping[str, object], place: Place, errors: list[ConfigError]) -> T:
    """Like `validated`, for a table in which everything has a default."""
    return validated(model, raw, place, errors) or model()


def table(
    raw: Mapping[str, object], key: str, place: Place, errors: list[ConfigError]
) -> Mapping[str, object]:
    """The table under a key; empty where there is none."""
    found = raw.get(key, {})
    if isinstance(found, dict):
        return found
    errors.append(place.at(key).error(f"must be a table: [{key}]"))
    return {}


def array(
    raw: Mapping[str, object], key: str, place: Place, errors: list[ConfigError]
) -> list[tuple[Place, Mapping[str, object]]]:
    """The tables of an array of tables, each with its place; empty where there is none."""
    found = raw.get(key, [])
    if isinstance(found, list) and all(isinstance(item, dict) for item in found):
        return [(place.at(key, index), item) for index, item in enumerate(found)]
    written = ".".join(part for part in place.at(key).path if isinstance(part, str))
    errors.append(place.at(key).error(f"must be an array of tables: [[{written}]]"))
    return []


def unique(named: Iterable[tuple[Place, str]], what: str, errors: list[ConfigError]) -> None:
    """Adds an error for each name that was given before, with both places."""
    first: dict[str, Place] = {}
    for place, name in named:
        if name in first:
            errors.append(place.error(f'another {what} is named "{name}": {first[name]}'))
        else:
            first[name] = place


def declared(
    tables: Iterable[tuple[Place, Mapping[str, object]]], key: str = "name"
) -> list[tuple[Place, str]]:
    """The names given in these tables, also in those that are wrong elsewhere."""
    return [(place.at(key), name) for place, raw in tables if isinstance(name := raw.get(key), str)]


def _errors(model: type[Table], error: ValidationError, place: Place) -> list[ConfigError]:
    details = error.errors(include_url=False, include_input=False)
    return [place.at(*detail["loc"]).error(sentence(detail, _known(model))) for detail in details]


def _known(model: type[Table]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def sentence(detail: ErrorDetails, known: Iterable[str]) -> str:
    """Our words for a library's: what to write rather than what it was, and never the input itself."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key{nearest(str(detail['loc'][-1]), known)}"
    if (template := _TEXTS.get(kind)) is not None:
        return template.format_map(context)
    return detail["msg"][:1].lower() + detail["msg"][1:]
