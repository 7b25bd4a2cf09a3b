-- Renew the lease of a process.
--
-- KEYS: its lease, the processes, the holders
-- ARGV: process, content, ms
-- Answers 1 where there was no lease before.
local began = redis.call('EXISTS', KEYS[1]) == 0
local time = redis.call('TIME')
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], 'XX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return began and 1 or 0
