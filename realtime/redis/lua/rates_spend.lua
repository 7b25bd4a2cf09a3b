-- Takes from buckets that all processes share. KEYS: buckets. ARGV: for each, what is taken, the most that it may take
-- to fill it, and how long ago the taking began, in microseconds. A bucket is the time at which it will be full, by this
-- server's clock; one that is full is not kept. Returns in how many microseconds each will be full.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local levels = {}
for index, key in ipairs(KEYS) do
  local taken, most, ago = tonumber(ARGV[index * 3 - 2]), tonumber(ARGV[index * 3 - 1]), tonumber(ARGV[index * 3])
  local before = math.max(tonumber(redis.call('GET', key) or '0'), now - ago)
  local full_at = math.min(before + taken, math.max(before, now + most))
  if taken > 0 and full_at > now then
    redis.call('SET', key, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
  end
  levels[index] = string.format('%.0f', math.max(full_at - now, 0))
end
return levels
