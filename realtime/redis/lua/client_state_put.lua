-- What a user's device says of itself, until it says otherwise or the time is over. KEYS[1]: the user's devices. ARGV:
-- device, what it says, for how many ms, and of how many devices at most. What is over is dropped on the way, and of too
-- many the one that is over first.
local key, device, said = KEYS[1], ARGV[1], ARGV[2]
local ttl_ms, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', key, device, string.format('%.0f', now + ttl_ms) .. ' ' .. said)
redis.call('PEXPIRE', key, ttl_ms)
local fields = redis.call('HGETALL', key)
local left, first, first_until = 0, nil, nil
for index = 1, #fields, 2 do
  local over = tonumber(string.match(fields[index + 1], '^%d+'))
  if over <= now then
    redis.call('HDEL', key, fields[index])
  else
    left = left + 1
    if fields[index] ~= device and (first == nil or over < first_until) then
      first, first_until = fields[index], over
    end
  end
end
if left > most and first ~= nil then
  redis.call('HDEL', key, first)
end
return left
