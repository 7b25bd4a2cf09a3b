-- What a user's device says of itself, until it says otherwise or the time is over. KEYS[1]: the user's devices. ARGV:
-- device, what it says, for how many ms, and of how many devices at most.
local key, device, said = KEYS[1], ARGV[1], ARGV[2]
local ttl_ms, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local now = server_ms()
redis.call('HSET', key, device, string.format('%.0f', now + ttl_ms) .. ' ' .. said)
redis.call('PEXPIRE', key, ttl_ms)
return tidy(key, device, now, most)
