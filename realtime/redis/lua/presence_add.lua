-- Add clients to a channel, or renew them.
--
-- ARGV: ttl_ms, then client, user, entry of each
local ttl_ms = tonumber(ARGV[1])
forget_expired(64)
for i = 2, #ARGV, 3 do
  local client, user, entry = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local before = redis.call('HGET', infos, client)
  if not before then
    redis.call('HINCRBY', users, user, 1)
  elseif user_of(before) ~= user then
    count_down(user_of(before))
    redis.call('HINCRBY', users, user, 1)
  else
    redis.call('HSETNX', users, user, 1) -- in case the server had to evict the counts
  end
  if before ~= entry then
    redis.call('HSET', infos, client, entry)
  end
  redis.call('ZADD', expiries, now_ms + ttl_ms, client)
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ttl_ms)
end
return 0
