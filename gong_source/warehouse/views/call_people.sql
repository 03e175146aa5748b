-- Who took part in each call, and how long did they talk?
-- One row for each person whom Gong lists for a call; without deleted and private calls.
with talk as (
  select s.call_id, s.party_id, sum(s.talk_seconds) as seconds
  from call_speakers as s where s.party_id is not null group by s.call_id, s.party_id
)
select
  p.call_id, -- Gong's id of the call.
  c.title as call_title, -- Title of the call.
  local_time(c.call_time) as local_call_time, -- The call time in the setting time_zone.
  p.name, -- Name of the person.
  p.email_address, -- Email address of the person.
  p.title, -- Job title of the person.
  p.affiliation, -- Internal, External or Unknown.
  p.user_id, -- Gong's id of the user, if the person is one.
  p.is_invitee, -- Whether the person was invited.
  p.is_attendee, -- Whether the person took part.
  coalesce(t.seconds, s.seconds) / 60.0 as talk_minutes -- How long the person spoke; null if Gong measured nothing.
from call_participants as p
join calls as c on c.id = p.call_id
left join talk as t on t.call_id = p.call_id and t.party_id = p.party_id
left join talk as s on s.call_id = p.call_id and s.party_id = p.speaker_id and t.party_id is null
where c.deleted_at is null and not coalesce(c.is_private, false)
