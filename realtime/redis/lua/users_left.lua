-- Take users who left so long ago that others are to be told. Nobody else gets them for a while; whoever took them says
-- when it is done (users_told).
--
-- KEYS: who is leaving, of whom others are being told
-- ARGV: ms for which one is leaving, ms after which another one may try, how many
-- Answers user and ms when they left, for each.
local leaving, telling = KEYS[1], KEYS[2]
local grace_ms, retry_ms, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken = {}

-- Those that are being told are among the first: as many more are looked at.
local busy = redis.call('ZCOUNT', telling, '(' .. now, '+inf')
local left = redis.call('ZRANGEBYSCORE', leaving, '-inf', now - grace_ms, 'WITHSCORES', 'LIMIT', 0, limit + busy)
for i = 1, #left, 2 do
  local user = left[i]
  local again_at = redis.call('ZSCORE', telling, user)
  if #taken < 2 * limit and (not again_at or tonumber(again_at) <= now) then
    redis.call('ZADD', telling, now + retry_ms, user)
    taken[#taken + 1] = user
    taken[#taken + 1] = left[i + 1]
  end
end
return taken
