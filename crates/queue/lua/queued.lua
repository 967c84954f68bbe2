-- Where jobs are. Read only. O(1) for a job that Redis does not know or that is finished, O(backlog) for
-- another. One that lost its payload or meta counts as not queued.
--
-- KEYS: 1 data  2 meta prefix  3 active  4 later
-- ARGV: 1 ms after which a job that does not wait is no longer taken for one in flight  then ids
-- Returns one number per job: 0 not queued, 1 waiting, also for its time, 2 in flight or lost.

local now = tonumber(now_ms())
local outcome = {}
for i = 2, #ARGV do
    local id = ARGV[i]
    local fields = redis.call('HMGET', KEYS[2] .. ':' .. id, 'status', 'enqueued_at', 'parked')
    local place = 0
    if fields[3] == 'later' and redis.call('ZSCORE', KEYS[4], id) then
        place = 1
    elseif fields[1] and not is_finished(fields[1]) and redis.call('HEXISTS', KEYS[1], id) == 1 then
        local age = now - (tonumber(fields[2] or '') or 0)
        if waits(KEYS[3], id) then
            place = 1
        elseif age >= 0 and age < tonumber(ARGV[1]) then
            place = 2
        end
    end
    table.insert(outcome, place)
end
return outcome
