-- Append to a stream and publish what was appended, in one step: counter, stream and fan-out cannot diverge.
--
-- KEYS: meta, stream[, result of this idempotency key]
-- ARGV: body, bus channel, size, ttl_s, meta_ttl_s, epoch if there is none yet, result_ttl_s
-- Answers "offset:epoch".
local meta, stream, result = KEYS[1], KEYS[2], KEYS[3]
if result then
  local answered = redis.call('GET', result)
  if answered then
    return answered
  end
end

local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
  -- Whatever is left of a stream without its meta belongs to an epoch that nobody can name any more.
  epoch = ARGV[6]
  redis.call('DEL', meta, stream)
  redis.call('HSET', meta, 'epoch', epoch)
end
-- Not tostring(): that turns large numbers into 1e+14.
local offset = string.format('%.0f', redis.call('HINCRBY', meta, 'offset', 1))
redis.call('XADD', stream, 'MAXLEN', ARGV[3], offset .. '-0', 'b', ARGV[1])
redis.call('EXPIRE', stream, ARGV[4])
redis.call('EXPIRE', meta, ARGV[5])

local position = offset .. ':' .. epoch
if result then
  redis.call('SET', result, position, 'EX', ARGV[7])
end
-- No holder is named in the header: every process delivers it, the publisher's too.
redis.call('PUBLISH', ARGV[2], position .. '::' .. ARGV[1])
return position
