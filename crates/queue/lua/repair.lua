-- Drops jobs that cannot be fetched from the active list: turns the list by up to ARGV[1] jobs, from its head to its
-- tail, leaving out those that lost their payload and mending those that lost their meta. Turned once all the way
-- round, the list is sound and in its old order.
--
-- KEYS: 1 active  2 data  3 meta prefix
-- Returns {jobs turned, jobs lost}.

local ids = redis.call('LRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)
redis.call('LTRIM', KEYS[1], #ids, -1)

local lost = 0
for _, id in ipairs(ids) do
    if mend(KEYS[2], KEYS[3], id) then
        redis.call('RPUSH', KEYS[1], id)
    else
        lost = lost + 1
    end
end

return { #ids, lost }
