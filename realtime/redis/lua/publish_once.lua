-- Publish without a stream, once per idempotency key.
--
-- KEYS: result of this idempotency key
-- ARGV: message, bus channel, result_ttl_s
-- Answers 1 where it was published now, 0 where it had been before.
if not redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[3]) then
  return 0
end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1
