-- Enqueues jobs that are not already waiting or in flight. One round trip, atomic.
--
-- A job that lost its payload or meta is looked up in the active list, which is O(backlog). With ARGV[2] = 1
-- every job that Redis knows is: a payload and a meta do not prove that the list still has the id.
--
-- KEYS: 1 data  2 meta prefix  3 active  4 done  5 dead  6 wake channel  7 older jobs  8 idle  9 epoch
--       10 jobs since  11 later
-- ARGV: 1 how many jobs may wait (none while KEYS[7] exists), -1 for no limit
--       2 `1` to trust only the active list, else `0`  then id, payload, id, payload, ...
-- Returns one number per job: 1 new, 0 already queued, 2 not enqueued because the queue is full.

local now = now_ms()
local limit = tonumber(ARGV[1])
local verify = ARGV[2] == '1'
local room = math.huge
if limit >= 0 then
    room = redis.call('EXISTS', KEYS[7]) == 1 and 0 or limit - redis.call('LLEN', KEYS[3])
end
local outcome = {}
local added = {}

for i = 3, #ARGV, 2 do
    local id, payload = ARGV[i], ARGV[i + 1]
    local meta = KEYS[2] .. ':' .. id
    local fields = redis.call('HMGET', meta, 'status', 'parked')
    local status, parked = fields[1], fields[2]
    local has_payload = redis.call('HEXISTS', KEYS[1], id) == 1
    local finished = is_finished(status)

    local queued = has_payload and status and not finished and not verify
    if parked == 'later' then
        queued = not verify or redis.call('ZSCORE', KEYS[11], id) ~= false
    end
    if not queued and (has_payload or status) and (verify or not finished) and waits(KEYS[3], id) then
        if finished then
            redis.call('DEL', meta)
        end
        redis.call('HSETNX', KEYS[1], id, payload)
        mend(KEYS[1], KEYS[2], id)
        queued = true
    end

    if queued then
        table.insert(outcome, 0)
    elseif #added >= room then
        table.insert(outcome, 2)
    else
        if has_payload or status or parked then
            redis.call('SREM', KEYS[4], id)
            redis.call('SREM', KEYS[5], id)
            redis.call('DEL', meta)
        end
        redis.call('HSET', KEYS[1], id, payload)
        write_meta(meta, now)
        table.insert(added, id)
        table.insert(outcome, 1)
    end
end

if #added > 0 then
    redis.call('RPUSH', KEYS[3], unpack(added))
    if redis.call('EXISTS', KEYS[9]) == 0 then
        redis.call('SET', KEYS[10], now, 'NX')
    end
    wake(KEYS[8], KEYS[6], #added)
end

return outcome
