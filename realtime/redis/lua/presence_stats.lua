-- Count a channel's clients and users, without reading them.
--
-- Answers {clients, users}.
forget_expired(10000)
return {redis.call('HLEN', infos), redis.call('HLEN', users)}
