-- What was said in a call, when, and by whom?
-- One row for each sentence of a transcript; without deleted and private calls.
with speakers as (
  select p.call_id, p.speaker_id, p.name, p.affiliation, p.user_id,
    row_number() over (partition by p.call_id, p.speaker_id order by p.position) as place
  from call_participants as p where p.speaker_id is not null
)
select
  s.call_id, -- Gong's id of the call.
  c.title as call_title, -- Title of the call.
  local_time(c.call_time) as local_call_time, -- The call time in the setting time_zone.
  s.position, -- The place of the sentence in the transcript, from 0.
  s.start_ms / 1000.0 as start_seconds, -- Start of the sentence, in seconds from the start of the recording.
  p.name as speaker, -- Name of who spoke; null if Gong does not know.
  p.affiliation, -- Internal, External or Unknown.
  p.user_id, -- Gong's id of the user, if a user spoke.
  s.topic, -- Topic of the monologue.
  s.text -- The sentence.
from transcript_sentences as s
join calls as c on c.id = s.call_id
left join speakers as p on p.call_id = s.call_id and p.speaker_id = s.speaker_id and p.place = 1
where s.text is not null and c.deleted_at is null and not coalesce(c.is_private, false)
