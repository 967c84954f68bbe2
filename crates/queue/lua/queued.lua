-- Which jobs wait or are in flight. Changes nothing; O(1) a job, so one that lost its payload or meta counts as not queued.
--
-- KEYS: 1 data  2 meta prefix
-- ARGV: ids
-- Returns one number a job: 1 it is queued, 0 it is not.

local outcome = {}
for _, id in ipairs(ARGV) do
    local status = redis.call('HGET', KEYS[2] .. ':' .. id, 'status')
    local queued = status and not is_finished(status) and redis.call('HEXISTS', KEYS[1], id) == 1
    table.insert(outcome, queued and 1 or 0)
end
return outcome
