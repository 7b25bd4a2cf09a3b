-- Hashes of a user's devices: a value begins with the time (ms) when it is over, then a space.

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Drop what is over, and of too many devices the one that is over first, but not this one. Returns how many there are.
local function tidy(key, device, now, most)
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
    left = left - 1
  end
  return left
end
