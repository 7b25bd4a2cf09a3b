-- Forget the users of processes whose lease has ended.
--
-- KEYS: buckets
-- ARGV: what precedes a process id in the key of its lease
-- Answers how many users were changed.
local lease = ARGV[1]
local alive = {}
local changed = 0

for _, bucket in ipairs(KEYS) do
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
      changed = changed + 1
    elseif after ~= before then
      redis.call('HSET', bucket, user, after)
      changed = changed + 1
    end
  end
end
return changed
