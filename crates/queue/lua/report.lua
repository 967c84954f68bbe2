-- Stores what a process reports of itself, with the time.
--
-- KEYS: 1 reports
-- ARGV: 1 the process  2 its report  3 seconds after which a report of a process that died is deleted

local now = redis.call('TIME')[1]
redis.call('HSET', KEYS[1], ARGV[1], now .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
