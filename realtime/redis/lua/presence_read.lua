-- Read who is in a channel.
--
-- ARGV: limit
-- Answers {client, entry, ...}, or the number of clients where that is above the limit.
forget_expired(10000)
local clients = redis.call('HLEN', infos)
if clients > tonumber(ARGV[1]) then
  return clients
end
return redis.call('HGETALL', infos)
