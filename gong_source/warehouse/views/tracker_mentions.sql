-- Which trackers were mentioned in which calls, how often, and by whom?
-- One row for each tracker mentioned in a call; without deleted and private calls.
with speakers as (
  select p.call_id, p.speaker_id, p.affiliation,
    row_number() over (partition by p.call_id, p.speaker_id order by p.position) as place
  from call_participants as p where p.speaker_id is not null
),
listed as (
  select o.call_id, o.tracker_id, o.speaker_id, o.phrase_number,
    min(case when o.phrase_number is null then 0 else 1 end) over (partition by o.call_id, o.tracker_id) as by_phrase
  from call_tracker_occurrences as o
),
moments as (
  select o.call_id, o.tracker_id,
    cast(sum(case when s.affiliation = 'Internal' then 1 else 0 end) as bigint) as internal,
    cast(sum(case when s.affiliation = 'External' then 1 else 0 end) as bigint) as external
  from listed as o
  left join speakers as s on s.call_id = o.call_id and s.speaker_id = o.speaker_id and s.place = 1
  where o.phrase_number is null or o.by_phrase = 1
  group by o.call_id, o.tracker_id
)
select
  t.call_id, -- Gong's id of the call.
  c.title as call_title, -- Title of the call.
  local_time(c.call_time) as local_call_time, -- The call time in the setting time_zone.
  c.primary_user_id, -- Gong's id of the user who hosted the call.
  t.tracker_id, -- Gong's id of the tracker.
  t.name as tracker, -- Name of the tracker.
  t.type, -- KEYWORD or SMART.
  t.count as mentions, -- How often it was mentioned, as Gong counts.
  m.internal as said_by_us, -- Moments in which Gong knows that an internal person said it; null if Gong lists no moments.
  m.external as said_by_others -- Moments in which Gong knows that an external person said it; null if Gong lists no moments.
from call_trackers as t
join calls as c on c.id = t.call_id
left join moments as m on m.call_id = t.call_id and m.tracker_id = t.tracker_id
where t.count > 0 and c.deleted_at is null and not coalesce(c.is_private, false)
