"""The JSON Schema of the config, for editors: `python -m watcher.config.schema` prints it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pydantic.json_schema import GenerateJsonSchema

from watcher.config.models import ConfigTable, TreasuryTable

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import WithDefaultSchema


def config_schema() -> str:
    """The schema of watcher.toml as JSON text; an included treasury's is `#/$defs/TreasuryTable`."""
    schema = ConfigTable.model_json_schema(schema_generator=_AsWritten)
    head = {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Treasury Watcher",
        "description": f"watcher.toml. An included file is a {TreasuryTable.__name__} at its top level.",
    }
    return json.dumps({**schema, **head}, indent=2, sort_keys=True) + "\n"


class _AsWritten(GenerateJsonSchema):
    """Defaults as an operator would write them, where the models hold what they mean."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        shown = super().default_schema(schema)
        match shown.get("default"):
            case float() as seconds:
                shown["default"] = f"{seconds:.0f}s"
            case dict() | None:
                shown.pop("default", None)
            case _:
                pass
        return shown


if __name__ == "__main__":
    sys.stdout.write(config_schema())
