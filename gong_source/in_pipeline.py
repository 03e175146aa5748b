"""What the dlt resources of `gong` need of the pipeline that runs them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity, SqlClientNotAvailable

from gong_source.connection import connect
from gong_source.errors import MissingScope, QuotaExhausted
from gong_source.stored.foreign import refuse_foreign_tables
from gong_source.stored.query import is_missing_table
from gong_source.stored.tenant import known_tenant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gong_source.api.by_id import FetchByIds
    from gong_source.api.client import Client
    from gong_source.api.fetch import Fetch
    from gong_source.resources.declare import Resource
    from gong_source.settings import GongSettings

logger = logging.getLogger(__name__)


def raise_failure(fetch: Fetch[Any] | FetchByIds[Any]) -> None:
    """Raises what ended the fetch early, or the first failure; a used-up quota is only a warning."""
    if fetch.failures:
        _what, error = fetch.failures[0]
        raise error
    if isinstance(fetch.stopped_by, QuotaExhausted):
        logger.warning("the run stopped early and loads what it has fetched: %s", fetch.stopped_by)
    elif fetch.stopped_by is not None:
        raise fetch.stopped_by


def refuse_foreign(resource: Resource) -> None:
    """Raises `ConfigurationError` for a dataset with tables of another program, or of an earlier form."""
    pipeline, known = dlt.current.pipeline(), dlt.current.source_schema().tables
    refuse_foreign_tables(pipeline, known, [resource], pipeline.dataset_name)


def open_client(settings: GongSettings) -> Client:
    """A client that accepts only answers of the tenant that the dataset belongs to."""
    client = connect(settings)
    client.expect(known_tenant(query), f"dataset {dlt.current.pipeline().dataset_name}")
    return client


def query(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the dataset of the running pipeline; none without SQL, or if a table does not exist."""
    try:
        with dlt.current.pipeline().sql_client() as client:
            statement = sql.format(dataset=client.fully_qualified_dataset_name())
            with client.execute_query(statement, *parameters) as cursor:
                return [tuple(row) for row in cursor.fetchall()]
    except SqlClientNotAvailable:
        return []
    except DestinationUndefinedEntity as error:
        if is_missing_table(error):
            return []
        raise


def leave_out(resources: Sequence[Resource], error: MissingScope) -> None:
    """Says that these are not loaded; raises the error if there is no other resource to load."""
    names = [resource.name for resource in resources]
    if set(dlt.current.source().selected_resources) <= set(names):
        raise error
    verb = "is" if len(names) == 1 else "are"
    logger.warning("%s %s not loaded, the other resources are: %s", " and ".join(names), verb, error)
