-- Note for users that a process holds a connection of theirs, or no longer does. Processes whose lease has ended are
-- dropped on the way.
--
-- KEYS: the bucket of each user
-- ARGV: what precedes a process id in the key of its lease, process, then '1' or '0' and user for each
local lease, process = ARGV[1], ARGV[2]
local alive = {}

for i, bucket in ipairs(KEYS) do
  local online, user = ARGV[2 * i + 1] == '1', ARGV[2 * i + 2]
  local before = redis.call('HGET', bucket, user)
  local kept = {}
  for other in string.gmatch(before or '', '[^,]+') do
    if other ~= process then
      if alive[other] == nil then
        alive[other] = redis.call('EXISTS', lease .. other) == 1
      end
      if alive[other] then
        kept[#kept + 1] = other
      end
    end
  end
  if online then
    kept[#kept + 1] = process
  end
  local after = table.concat(kept, ',')
  if after == '' then
    redis.call('HDEL', bucket, user)
  elseif after ~= before then
    redis.call('HSET', bucket, user, after)
  end
end
return 0
