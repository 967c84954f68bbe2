-- Puts dead letters back into the active list, for a first attempt. Leaves those whose id is queued.
--
-- KEYS: 1 data  2 meta prefix  3 active  4 done  5 dead  6 wake channel  7 idle  8 dead letters
--       9 prefix of their records
-- ARGV: 1 how many to skip, if there are no ids  2 how many, if there are no ids  3.. ids
-- Returns {dead letters put back, left}.

local ids = { unpack(ARGV, 3) }
if #ids == 0 then
    ids = redis.call('ZRANGE', KEYS[8], ARGV[1], ARGV[1] + ARGV[2] - 1)
end
local keys = { data = KEYS[1], meta = KEYS[2], active = KEYS[3], done = KEYS[4], dead = KEYS[5] }
local redriven, left = 0, 0
for _, id in ipairs(ids) do
    local record = KEYS[9] .. ':' .. id
    local payload = redis.call('HGET', record, 'payload')
    local fields = redis.call('HMGET', KEYS[2] .. ':' .. id, 'status', 'parked')
    local queued = fields[2] == 'later' or fields[1] and not is_finished(fields[1])
    if payload and not queued then
        redis.call('ZREM', KEYS[8], id)
        redis.call('DEL', record)
        activate(keys, id, payload, 1)
        redriven = redriven + 1
    else
        left = left + 1
    end
end

if redriven > 0 then
    wake(KEYS[7], KEYS[6], redriven)
end

return { redriven, left }
