"""Our own tables: what was fetched, when each record arrived, what verifications found, and which runs there were."""

from gong_source.resources.declare import Column, Table

FETCHED_WINDOWS = Table(
    "fetched_windows",
    "The ledger: one row for each window or snapshot fetched, committed with its records.",
    (
        Column("fetch_id", "text", "Identifies this fetch of the window or snapshot."),
        Column("resource", "text", "The resource that was fetched."),
        Column("endpoint", "text", "The endpoint of Gong's API that listed the records."),
        Column(
            "window_start",
            "timestamp",
            "Start of the window, inclusive, UTC; null for a snapshot, and for calls requested by id.",
        ),
        Column(
            "window_end",
            "timestamp",
            "End of the window, exclusive, UTC; null for a snapshot, and for calls requested by id.",
        ),
        Column("workspace_id", "text", "The workspace whose records were fetched; null: all workspaces."),
        Column("mode", "text", "The run that fetched the records: sync, backfill or repair."),
        Column("total_records", "bigint", "Gong's own count of the records; null where Gong gives none."),
        Column("rows", "bigint", "Records received, each counted once."),
        Column("pages", "bigint", "Pages received."),
        Column("requests", "bigint", "Requests sent for this fetch, including retries and planning."),
        Column("waited_seconds", "double", "Seconds spent waiting for the throttle and for retries."),
        Column("first_request_id", "text", "Gong's request id of the first page."),
        Column("last_request_id", "text", "Gong's request id of the last page."),
        Column("unmapped", "bigint", "Records with a field or value that has no column and is kept in extra."),
        Column("fetched_at", "timestamp", "When the fetch began, UTC."),
        Column("settled", "bool", "False: Gong counts more records than it lists; Gong is still processing some."),
        Column("tenant_api_host", "text", "The host that was asked."),
        Column("tenant_app_hosts", "json", "JSON list of the hosts in the addresses of the run's calls so far."),
        Column("tenant_workspaces", "json", "JSON list of the workspaces that the run has seen so far."),
        Column("watermark", "timestamp", "Covered up to this time once the row is committed, UTC; null in a backfill."),
    ),
)

ARRIVALS = Table(
    "arrivals",
    "One row for each record ever loaded through a window: when the warehouse first had it.",
    (
        Column("resource", "text", "The resource of the record."),
        Column("id", "text", "Gong's id of the record."),
        Column("first_seen_at", "timestamp", "When the load that first brought the record was committed, UTC."),
        Column("load_id", "text", "That load, as in _dlt_loads and fetched_windows."),
        Column(
            "mode", "text", "The run that brought the record: sync, backfill or repair; null if unknown after a crash."
        ),
        Column("is_late", "bool", "Whether an earlier fetch of the record's window did not list it yet."),
    ),
    key=("resource", "id"),
)

VERIFICATIONS = Table(
    "verifications",
    "One row for each comparison of a resource in Gong with this dataset.",
    (
        Column("verification_id", "text", "Identifies the verification."),
        Column("resource", "text", "The resource that was compared."),
        Column("verified_from", "timestamp", "Start of the range compared, inclusive, UTC; null for a snapshot."),
        Column("verified_to", "timestamp", "End of the range compared, exclusive, UTC; null for a snapshot."),
        Column(
            "workspace_id",
            "text",
            "The workspace compared; null: all, or a list that Gong only gives whole.",
        ),
        Column("is_deep", "bool", "True: every record was compared. False: counts, and records where counts differ."),
        Column("is_repair", "bool", "Whether differences were to be repaired."),
        Column(
            "outcome", "text", "clean, repaired, differs, refused (too many records missing in Gong), paused or failed."
        ),
        Column(
            "listed",
            "bigint",
            "Gong's count of the records. By call id: the calls that must have content. Null if unknown.",
        ),
        Column(
            "stored",
            "bigint",
            "Records stored before any repair. By call id: the calls that have content. Null if unknown.",
        ),
        Column("differing_windows", "bigint", "Windows in which Gong and this dataset differed."),
        Column("missing", "bigint", "Records that Gong lists and that were not stored."),
        Column("changed", "bigint", "Records that were stored with other values than Gong lists."),
        Column("surplus", "bigint", "Stored records that Gong no longer lists."),
        Column("unsettled", "bigint", "Records that Gong counts and does not list yet."),
        Column("marked_deleted", "bigint", "Records that got deleted_at."),
        Column("requests", "bigint", "Requests sent."),
        Column("started_at", "timestamp", "When the verification began, UTC."),
        Column("finished_at", "timestamp", "When the verification ended, UTC."),
    ),
)

RUNS = Table(
    "runs",
    "One row for each command that loaded or tried to, also if it failed or was stopped; none if the database failed.",
    (
        Column("run_id", "text", "Identifies the run."),
        Column("command", "text", "sync, backfill, verify or erase."),
        Column("resources", "text", "The resources chosen, with commas between them."),
        Column("done", "text", "Those of them that were done to the end; empty for erase."),
        Column("workspace_id", "text", "The workspace that was chosen; null: all workspaces."),
        Column("started_at", "timestamp", "When the run began, UTC."),
        Column("finished_at", "timestamp", "When the run ended, UTC."),
        Column("status", "text", "done, incomplete, paused or failed."),
        Column("message", "text", "Why the run is not done; null if it is."),
        Column("requests", "bigint", "Requests sent."),
        Column("records", "bigint", "Records received, of all resources together."),
        Column("changed", "bigint", "Records that are new or different since."),
        Column("tenant", "text", "The host that was asked."),
        Column("version", "text", "The version of gong-source."),
    ),
)

BOOKKEEPING = (FETCHED_WINDOWS, ARRIVALS, VERIFICATIONS, RUNS)
