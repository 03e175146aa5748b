"""Refuses a dataset whose tables were made by another program, or by an earlier form of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlt.destinations.job_client_impl import SqlJobClientBase

from gong_source.errors import ConfigurationError
from gong_source.resources.bookkeeping import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    import dlt

    from gong_source.resources.declare import Resource, Table


def refuse_foreign_tables(
    pipeline: dlt.Pipeline, known: Container[str], resources: Sequence[Resource], dataset: str
) -> None:
    """Raises `ConfigurationError` if a table that `resources` need is there already and is not ours.

    `known` are the tables that the pipeline has loaded before: the question to the database is asked for others only.
    dlt would add our columns to a table of another program, and then fail or overwrite its rows.
    """
    _refuse_old(known, dataset)
    new = [table for resource in resources for table in resource.tables if table.name not in known]
    if not new:
        return
    new.extend(table for table in BOOKKEEPING if table.name not in known)
    with pipeline.destination_client() as client:
        if not isinstance(client, SqlJobClientBase):
            return
        found = dict(client.get_storage_tables([table.name for table in new]))
    foreign = [table.name for table in new if found[table.name] and not _is_ours(table, found[table.name])]
    if foreign:
        names = ", ".join(foreign)
        raise ConfigurationError(
            f"dataset {dataset} has a table of another program under a name that is needed here: {names}."
            " Choose another --dataset (in dlt: dataset_name); nothing was changed"
        )


def _is_ours(table: Table, columns: Container[str]) -> bool:
    """Whether a table with these columns may be ours. Tables that dlt makes from JSON also have `_dlt_id`."""
    needed = (*table.primary_key, "_dlt_load_id")
    return all(name in columns for name in needed) and "_dlt_id" not in columns


def _refuse_old(tables: Container[str], dataset: str) -> None:
    """Raises `ConfigurationError` if `tables` are those of a dataset that an earlier form of this package has loaded.

    That form had a ledger for calls alone, which says nothing to this one. Its rows must not be mixed with new ones.
    """
    if "call_windows" in tables:
        raise ConfigurationError(
            f"dataset {dataset} was loaded by an earlier version, whose tables have another form (call_windows)."
            " Drop the dataset and load it anew, or choose another --dataset; nothing was changed"
        )
