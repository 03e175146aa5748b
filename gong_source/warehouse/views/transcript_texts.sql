-- What was said in a call, as one text?
-- One row for each call with a transcript; without deleted and private calls.
select
  s.call_id, -- Gong's id of the call.
  max(c.title) as call_title, -- Title of the call.
  max(local_time(c.call_time)) as local_call_time, -- The call time in the setting time_zone.
  count(*) as sentences, -- Number of sentences.
  string_agg(s.text, ' ' order by s.position nulls first) as text -- All sentences in their order, with spaces between them.
from transcript_sentences as s
join calls as c on c.id = s.call_id
where s.text is not null and c.deleted_at is null and not coalesce(c.is_private, false)
group by s.call_id
