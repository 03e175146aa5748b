-- Which calls took place, when in local time, and who hosted them?
-- One row for each call that is neither deleted nor private.
select
  c.id as call_id, -- Gong's id of the call.
  c.title, -- Title of the call.
  c.url, -- Address of the call's page in Gong.
  coalesce(c.started, c.scheduled, c.call_time) as started_at, -- When the call began, UTC.
  local_time(coalesce(c.started, c.scheduled, c.call_time)) as local_start, -- When it began, in the setting time_zone.
  cast(local_time(coalesce(c.started, c.scheduled, c.call_time)) as date) as local_day, -- Day of local_start.
  week_of(local_time(coalesce(c.started, c.scheduled, c.call_time))) as local_week, -- Monday of local_day's week.
  cast(c.duration as double) / 60 as minutes, -- Length of the call in minutes.
  c.direction, -- Inbound, Outbound, Conference or Unknown.
  c.scope, -- Internal, External or Unknown.
  c.media, -- Video or Audio.
  c.system, -- Where the call was held, for example Zoom.
  c.language, -- Spoken language, ISO 639-2/B.
  c.purpose, -- Purpose of the call.
  c.primary_user_id as host_id, -- Gong's id of the user who hosts the call.
  nullif(trim(concat(coalesce(h.first_name, ''), ' ', coalesce(h.last_name, ''))), '') as host_name, -- Name of the host.
  h.email_address as host_email, -- Email address of the host.
  h.manager_id, -- Gong's id of the host's manager, as Gong listed it last.
  nullif(trim(concat(coalesce(m.first_name, ''), ' ', coalesce(m.last_name, ''))), '') as manager_name, -- Name of the host's manager.
  c.workspace_id, -- Gong's id of the workspace.
  w.name as workspace -- Name of the workspace.
from calls as c
left join users as h on h.id = c.primary_user_id
left join users as m on m.id = h.manager_id
left join workspaces as w on w.id = c.workspace_id
where c.deleted_at is null and not coalesce(c.is_private, false)
