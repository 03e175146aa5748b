"""dlt packages: rows of all tables with their row of the ledger, loaded all or not at all."""
