"""The views of a dataset: each answers a question, and is a file of DuckDB's SQL in the folder `views`.

A view's file begins with its question and what its rows are, and describes each column behind it. Two functions stand
for what databases write differently: `local_time(x)` is the instant `x` in the setting `time_zone`, without a zone;
`week_of(x)` is the Monday of the week of such a time. sqlglot translates the rest.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gong_source.resources import TABLES

if TYPE_CHECKING:
    from collections.abc import Container

    from sqlglot import Expr

_FOLDER = Path(__file__).with_name("views")
_HEADER = re.compile(r"(?:--[^\n]*\n)+")
_COLUMN = re.compile(r"\n  [^\n]*?(\w+),? -- ([^\n]+)")
_TABLES = {"_dlt_loads", *(table.name for table in TABLES)}
# How each database writes what sqlglot does not translate. Weeks begin on Monday everywhere.
_LOCAL_TIME = {"bigquery": "datetime({0}, '{zone}')"}
_WEEK_OF = {"bigquery": "date_sub(cast({0} as date), interval mod(extract(dayofweek from {0}) + 5, 7) day)"}


@dataclass(frozen=True, slots=True)
class View:
    """A view, as the file of its name defines it."""

    name: str
    sql: str

    @property
    def question(self) -> str:
        """The question that the view answers."""
        return self._header[0]

    @property
    def rows(self) -> str:
        """What its rows are, and what it leaves out."""
        return " ".join(self._header[1:])

    @property
    def _header(self) -> list[str]:
        found = _HEADER.match(self.sql)
        assert found is not None, f"the view {self.name} has no question"
        return [line.removeprefix("--").strip() for line in found[0].splitlines()]

    @property
    def columns(self) -> dict[str, str]:
        """The columns in order, by name, with their descriptions."""
        return dict(_COLUMN.findall(self.sql))

    @property
    def tables(self) -> list[str]:
        """The tables that it reads, without dlt's own."""
        return [table.name for table in TABLES if re.search(rf"\b(?:from|join) {table.name}\b", self.sql)]


@dataclass(frozen=True, slots=True)
class LocalView:
    """A view with local times in `zone`, as one dataset has it."""

    view: View
    zone: str

    @property
    def name(self) -> str:
        """The name in the dataset."""
        return self.view.name

    @property
    def mark(self) -> str:
        """Eight digits that change with the definition."""
        return hashlib.sha256(f"{self.zone}\n{self.view.sql}".encode()).hexdigest()[:8]

    @property
    def description(self) -> str:
        """The description in the database. Its end marks the view as ours."""
        return f"{self.view.question} {self.view.rows} (gong-source view {self.mark})"

    def select(self, client: Any) -> str:
        """The query, in the SQL of the database of dlt's `client`, on the tables of its dataset."""
        return translate(self.view.sql, client, self.zone)


def translate(sql: str, client: Any, zone: str) -> str:
    """A query in the SQL of the views, in that of the database of dlt's `client`, on the tables of its dataset."""
    import sqlglot
    from sqlglot import exp

    dialect = client.capabilities.sqlglot_dialect
    forms = {
        "local_time": _LOCAL_TIME.get(dialect, "{0} at time zone '{zone}'"),
        "week_of": _WEEK_OF.get(dialect, "cast(date_trunc('week', {0}) as date)"),
    }

    def written(node: Expr) -> Expr:
        if isinstance(node, exp.Anonymous) and (form := forms.get(node.name.lower())):
            argument = node.expressions[0].transform(written).sql(dialect)
            return sqlglot.parse_one(form.format(argument, zone=zone), read=dialect)
        if isinstance(node, exp.Table) and node.name in _TABLES:
            table = sqlglot.parse_one(client.make_qualified_table_name(node.name), read=dialect, into=exp.Table)
            return exp.alias_(table, node.alias or node.name, table=True)
        return node

    return sqlglot.parse_one(sql, read="duckdb").transform(written).sql(dialect, comments=False)


@cache
def all_views() -> tuple[View, ...]:
    """The views, in the order of their names."""
    return tuple(View(file.stem, file.read_text(encoding="utf-8")) for file in sorted(_FOLDER.glob("*.sql")))


def views_on(tables: Container[str]) -> list[View]:
    """The views whose tables are all among `tables`."""
    return [view for view in all_views() if all(name in tables for name in view.tables)]
