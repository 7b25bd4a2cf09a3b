-- Others were told that these users have gone. Those who came back meanwhile are left alone.
--
-- KEYS: who is leaving, of whom others are being told
-- ARGV: users
for _, user in ipairs(ARGV) do
  if redis.call('ZREM', KEYS[2], user) == 1 then
    redis.call('ZREM', KEYS[1], user)
  end
end
return 0
