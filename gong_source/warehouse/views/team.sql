-- Who belongs to whose team, at any level?
-- One row for each manager and each user below, as Gong listed them last, and one for each user as a team of one.
-- Users that Gong no longer lists are left out.
with recursive above as (
  select u.id as member_id, u.id as manager_id, 0 as levels
  from users as u
  where u.deleted_at is null
  union all
  select a.member_id, u.manager_id, a.levels + 1 as levels
  from above as a
  join users as u on u.id = a.manager_id
  join users as m on m.id = u.manager_id
  where m.deleted_at is null and u.manager_id <> a.member_id and a.levels < 20
),
nearest as (
  select member_id, manager_id, min(levels) as levels_below from above group by member_id, manager_id
)
select
  n.manager_id, -- Gong's id of the manager.
  nullif(trim(concat(coalesce(m.first_name, ''), ' ', coalesce(m.last_name, ''))), '') as manager_name, -- Name of the manager.
  m.email_address as manager_email, -- Email address of the manager.
  n.member_id, -- Gong's id of the user in the team.
  nullif(trim(concat(coalesce(u.first_name, ''), ' ', coalesce(u.last_name, ''))), '') as member_name, -- Name of the user.
  u.email_address as member_email, -- Email address of the user.
  u.title as member_title, -- Job title of the user.
  u.is_active as member_is_active, -- Whether the user is active in Gong.
  n.levels_below -- 0: the manager, 1: reports to the manager, 2: reports to one of these, up to 20.
from nearest as n
join users as m on m.id = n.manager_id
join users as u on u.id = n.member_id
