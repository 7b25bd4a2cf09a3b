-- Shared by the scripts of channel presence. KEYS: infos, expiries, users.
-- infos: client -> "<length of user>:<user><info>", expiries: clients by the ms they end at, users: user -> number of
-- clients. Time is the server's, so that no process's clock matters.
local infos, expiries, users = KEYS[1], KEYS[2], KEYS[3]

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local function user_of(entry)
  local colon = string.find(entry, ':', 1, true)
  return string.sub(entry, colon + 1, colon + tonumber(string.sub(entry, 1, colon - 1)))
end

local function count_down(user)
  if redis.call('HINCRBY', users, user, -1) <= 0 then
    redis.call('HDEL', users, user)
  end
end

local function forget(client)
  local entry = redis.call('HGET', infos, client)
  redis.call('ZREM', expiries, client)
  if entry then
    redis.call('HDEL', infos, client)
    count_down(user_of(entry))
  end
end

local function forget_expired(most)
  for _, client in ipairs(redis.call('ZRANGEBYSCORE', expiries, '-inf', now_ms, 'LIMIT', 0, most)) do
    forget(client)
  end
end
