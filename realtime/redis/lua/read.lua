-- Read the position of a stream and a part of it, in one step. A stream without an epoch gets one.
--
-- KEYS: meta, stream
-- ARGV: epoch if there is none yet, meta_ttl_s, limit (0: position only, -1: all), since ('': from the end that the
--       order begins at; else exclusive), epoch of since ('': any), '1' for descending order
-- Answers {epoch, offset, {{id, {field, body}}, ...}}.
local meta, stream = KEYS[1], KEYS[2]
local limit, since, since_epoch, reverse = tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6] == '1'

local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', meta, stream)
  redis.call('HSET', meta, 'epoch', epoch)
end
redis.call('EXPIRE', meta, ARGV[2])
local offset = redis.call('HGET', meta, 'offset') or '0'

if limit == 0 or (since_epoch ~= '' and since_epoch ~= epoch) or (reverse and since == '0') then
  return {epoch, offset, {}}
end

local range
if reverse then
  range = {'XREVRANGE', stream, since == '' and '+' or '(' .. since .. '-0', '-'}
else
  range = {'XRANGE', stream, since == '' and '-' or '(' .. since .. '-0', '+'}
end
if limit > 0 then
  range[5], range[6] = 'COUNT', limit
end
return {epoch, offset, redis.call(unpack(range))}
