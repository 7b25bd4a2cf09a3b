-- What a session says of its user's device. KEYS[1]: the user's devices. ARGV: device, session, "began", "goes_on" or
-- "ended", when it ended, for how many ms to remember it, of how many devices and of how many names of each at most;
-- then names and the offsets up to which they are confirmed, the latest last.
--
-- The session that began last speaks for the device. Another one does when that has ended, by going on: its peer is
-- there. What is confirmed counts from any, as it is the device that has it.
local key, device, session, what = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local ended_at, ttl_ms = tonumber(ARGV[4]), tonumber(ARGV[5])
local most_devices, most_names = tonumber(ARGV[6]), tonumber(ARGV[7])
local now = server_ms()
local state, over = {session = '', confirmed = {}}, 0
local stored = redis.call('HGET', key, device)
if stored then
  local at, json = string.match(stored, '^(%d+) (.*)$')
  if tonumber(at) > now then
    local understood, decoded = pcall(cjson.decode, json)
    if understood and type(decoded) == 'table' and type(decoded.confirmed) == 'table' then
      state, over = decoded, tonumber(at)
      state.session = state.session or ''
    end
  end
end

local speaks
if state.session == session then
  -- A request that was thought lost may come after the one that followed it.
  speaks = state.ended_at == nil or what == 'ended'
else
  speaks = what == 'began' or state.session == '' or (state.ended_at ~= nil and what == 'goes_on')
end
if speaks then
  state.session = session
  state.ended_at = what == 'ended' and ended_at or nil
  over = now + ttl_ms
end

local offsets, order = {}, {}
for index = 1, #state.confirmed, 2 do
  local name, offset = state.confirmed[index], tonumber(state.confirmed[index + 1])
  if offset ~= nil then
    offsets[name] = offset
    order[#order + 1] = name
  end
end
for index = 8, #ARGV, 2 do
  local name, offset = ARGV[index], tonumber(ARGV[index + 1])
  if offsets[name] == nil or offsets[name] < offset then
    offsets[name] = offset
    order[#order + 1] = name
  end
end
-- Of a name that is there twice the later place counts.
local latest, seen = {}, {}
for index = #order, 1, -1 do
  local name = order[index]
  if #latest < most_names and not seen[name] then
    latest[#latest + 1] = name
    seen[name] = true
  end
end
state.confirmed = {}
for index = #latest, 1, -1 do
  table.insert(state.confirmed, latest[index])
  table.insert(state.confirmed, offsets[latest[index]])
end

redis.call('HSET', key, device, string.format('%.0f', over) .. ' ' .. cjson.encode(state))
redis.call('PEXPIRE', key, ttl_ms)
return tidy(key, device, now, most_devices)
