-- Removes jobs that cannot be fetched from the active list: moves up to ARGV[1] jobs from the head of the
-- list to its tail, drops those that lost their payload and mends those that lost their meta. After one full
-- turn every job in the list is fetchable, and the order is unchanged.
--
-- KEYS: 1 active  2 data  3 meta prefix
-- Returns {jobs moved or dropped, jobs dropped}.

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
