-- How current is each resource, and can it be trusted?
-- One row for each resource that was loaded; for runs over one workspace, one row for each such workspace.
with fetched as (
  select f.resource, coalesce(f.workspace_id, '') as space, f.endpoint, f.fetched_at, f.settled, f.watermark,
    max(f.fetched_at) over (partition by f.resource, f.workspace_id) as last_at, (f.window_start is null and f.endpoint like 'GET %') as is_whole,
    case when f.window_start is null and (f.mode = 'sync' or f.endpoint not like 'POST /v2/calls/%') then f.fetched_at end as read_at
  from fetched_windows as f where f._dlt_load_id in (select l.load_id from _dlt_loads as l where l.status = 0)
),
syncs as (
  select f.resource, f.space, f.last_at, r.finished_at, r.status, r.message, r.started_at as begun,
    case when concat(',', r.done, ',') like concat('%,', f.resource, ',%') then r.started_at end as done_from,
    row_number() over (partition by f.resource, f.space order by r.started_at desc) as recency
  from (select distinct resource, space, last_at, is_whole from fetched) as f
  join runs as r on r.command = 'sync' and concat(',', r.resources, ',') like concat('%,', f.resource, ',%')
    and (coalesce(r.workspace_id, '') = f.space or f.is_whole)),
fetching as (
  select s.resource, s.space, max(case when s.begun <= s.last_at then s.begun end) as begun, max(s.done_from) as done_from
  from syncs as s group by s.resource, s.space),
late as (select a.resource, count(*) as records from arrivals as a where a.is_late group by a.resource),
checked as (
  select v.resource, coalesce(v.workspace_id, '') as space, v.finished_at, v.outcome,
    row_number() over (partition by v.resource, v.workspace_id order by v.finished_at desc) as recency
  from verifications as v)
select
  f.resource, -- The resource.
  nullif(f.space, '') as workspace_id, -- The workspace that the runs named; null: runs over all workspaces.
  coalesce(max(f.watermark), max(case when f.endpoint like 'POST /v2/calls/%' and s.recency = 1 then b.done_from else f.read_at end)) as covered_to, -- The time up to which every record has been fetched, UTC; by call id, the start of the last sync that asked for all calls due.
  max(s.finished_at) as last_sync_at, -- When the last sync of the resource ended, UTC.
  max(s.status) as last_sync_status, -- done, incomplete, paused or failed.
  max(s.message) as last_sync_message, -- Why it is not done; null if it is.
  cast(sum(case when f.settled or f.fetched_at < b.begun then 0 else 1 end) as bigint) as unsettled_windows, -- Windows of the last sync that fetched some, in which Gong was still processing records.
  coalesce(max(l.records), 0) as late_records, -- Records, ever since, that an earlier fetch of their time did not list yet; also those that a repair has found.
  max(c.finished_at) as verified_at, -- When the last verification ended, UTC.
  max(c.outcome) as verification_outcome -- clean, repaired, differs, refused, paused or failed.
from fetched as f left join late as l on l.resource = f.resource
left join syncs as s on s.resource = f.resource and s.space = f.space and s.recency = 1
left join fetching as b on b.resource = f.resource and b.space = f.space
left join checked as c on c.resource = f.resource and c.space = f.space and c.recency = 1
group by f.resource, f.space
