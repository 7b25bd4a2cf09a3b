-- Note for users that a process holds a connection of theirs, or no longer does. Processes whose lease has ended are
-- dropped on the way.
--
-- Answers the users who are online by this and were not before. Whoever is back while they are leaving was never gone,
-- unless others are being told of it.
--
-- KEYS: who is leaving, of whom others are being told, the holders, since when this server has its data, then the
-- bucket of each user
-- ARGV: what precedes a process id in the key of its lease, process, ms for which a server is young, then for each user
-- '1' (has come), '2' (is there, perhaps for long) or '0' (has gone), and user
local leaving, telling, holders, since = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local lease, process, young_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = {}
local came = {}

redis.call('SET', since, now, 'NX')
-- A server without memory knows nobody: those who were there are not news.
local young = now - tonumber(redis.call('GET', since)) < young_ms
redis.call('ZADD', holders, now, process)

for i = 5, #KEYS do
  local bucket, state, user = KEYS[i], ARGV[2 * i - 6], ARGV[2 * i - 5]
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
  if state ~= '0' then
    kept[#kept + 1] = process
  end
  local after = table.concat(kept, ',')
  if after == '' then
    redis.call('HDEL', bucket, user)
    redis.call('ZADD', leaving, 'NX', now, user)
  elseif after ~= before then
    redis.call('HSET', bucket, user, after)
  end
  if state ~= '0' then
    local was_leaving = redis.call('ZREM', leaving, user) == 1
    local was_told = redis.call('ZREM', telling, user) == 1
    if was_told or (not before and not was_leaving and not (state == '2' and young)) then
      came[#came + 1] = user
    end
  end
end
return came
