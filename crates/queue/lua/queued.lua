-- Which jobs wait or are in flight. Read only. O(1) per job, so one that lost its payload or meta counts as
-- not queued.
--
-- KEYS: 1 data  2 meta prefix
-- ARGV: ids
-- Returns one number per job: 1 queued, 0 not queued.

local outcome = {}
for _, id in ipairs(ARGV) do
    local status = redis.call('HGET', KEYS[2] .. ':' .. id, 'status')
    local queued = status and not is_finished(status) and redis.call('HEXISTS', KEYS[1], id) == 1
    table.insert(outcome, queued and 1 or 0)
end
return outcome
