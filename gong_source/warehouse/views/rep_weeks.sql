-- How many calls and minutes did each host have in each week?
-- One row for each host and week with calls. Deleted and private calls, and calls without a host, do not count.
with hosted as (
  select
    c.primary_user_id as host_id, c.scope, cast(coalesce(c.duration, 0) as double) / 60 as minutes,
    week_of(local_time(coalesce(c.started, c.scheduled, c.call_time))) as local_week
  from calls as c
  where c.deleted_at is null and not coalesce(c.is_private, false) and c.primary_user_id is not null
)
select
  t.host_id, -- Gong's id of the user who hosted the calls.
  max(nullif(trim(concat(coalesce(u.first_name, ''), ' ', coalesce(u.last_name, ''))), '')) as host_name, -- Name of the host.
  max(u.email_address) as host_email, -- Email address of the host.
  t.local_week, -- Monday of the week in the setting time_zone.
  count(*) as calls, -- Calls that began in it.
  sum(t.minutes) as minutes, -- Length of the calls in minutes.
  cast(sum(case when t.scope = 'External' then 1 else 0 end) as bigint) as external_calls, -- Calls with people of other companies.
  sum(case when t.scope = 'External' then t.minutes else 0 end) as external_minutes -- Length of these in minutes.
from hosted as t
left join users as u on u.id = t.host_id
group by t.host_id, t.local_week
