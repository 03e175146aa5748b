"""dlt alone: its import, and one run of a resource that has nothing to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

if TYPE_CHECKING:
    from collections.abc import Iterator


@dlt.resource(name="calls", primary_key="id", write_disposition="merge")
def nothing(
    started: dlt.sources.incremental[str] = dlt.sources.incremental(  # noqa: ARG001, B008 - as dlt binds it
        "started", initial_value="2024"
    ),
) -> Iterator[Any]:
    """Asks for nothing, incrementally."""
    yield from ()


def main() -> None:
    """Runs the pipeline once."""
    dlt.config["runtime.dlthub_telemetry"] = False
    pipeline = dlt.pipeline(
        "alone", destination=dlt.destinations.duckdb("alone.duckdb"), dataset_name="empty", pipelines_dir="dlt"
    )
    pipeline.run(nothing())


if __name__ == "__main__":
    main()
