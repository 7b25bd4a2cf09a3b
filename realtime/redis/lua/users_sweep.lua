-- Forget the users of processes whose lease has ended: they are leaving, if no other process has them.
--
-- KEYS: who is leaving, then buckets
-- ARGV: what precedes a process id in the key of its lease, ms when they were last there ('': now)
-- Answers how many users were changed.
local leaving, lease = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local left_at = tonumber(ARGV[2]) or time[1] * 1000 + math.floor(time[2] / 1000)
local alive = {}
local changed = 0

for number = 2, #KEYS do
  local bucket = KEYS[number]
  local fields = redis.call('HGETALL', bucket)
  for i = 1, #fields, 2 do
    local user, before = fields[i], fields[i + 1]
    local kept = {}
    for process in string.gmatch(before, '[^,]+') do
      if alive[process] == nil then
        alive[process] = redis.call('EXISTS', lease .. process) == 1
      end
      if alive[process] then
        kept[#kept + 1] = process
      end
    end
    local after = table.concat(kept, ',')
    if after == '' then
      redis.call('HDEL', bucket, user)
      redis.call('ZADD', leaving, 'NX', left_at, user)
      changed = changed + 1
    elseif after ~= before then
      redis.call('HSET', bucket, user, after)
      changed = changed + 1
    end
  end
end
return changed
