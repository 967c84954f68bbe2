-- The head of every script that adds jobs to the active list.
--
-- apalis' fetch script fails for good, for every worker, when the active list names a job without payload, or one whose
-- meta hash lacks `attempts`, `max_attempts` or `status`. So nothing enters the active list but by these functions.

-- Redis' clock in ms, as text: Lua would print so large a number as 1.7e+12.
local function now_ms()
    local time = redis.call('TIME')
    return string.format('%d%03d', time[1], math.floor(time[2] / 1000))
end

local function is_finished(status)
    return status == 'Done' or status == 'Killed' or status == 'Failed'
end

-- `max_attempts` is there because fetch wants it; who retries, and how often, is the caller's business.
local function write_meta(meta, enqueued_at)
    redis.call('HSET', meta, 'attempts', 0, 'max_attempts', 1, 'status', 'Pending', 'enqueued_at', enqueued_at)
end

-- Makes a job that is not finished fit to be fetched. False: its payload is lost, and it must not be fetched.
local function mend(data, meta_prefix, id)
    local meta = meta_prefix .. ':' .. id
    if redis.call('HEXISTS', data, id) == 0 then
        redis.call('DEL', meta)
        return false
    end
    local fields = redis.call('HMGET', meta, 'attempts', 'max_attempts', 'status', 'enqueued_at')
    if not (fields[1] and fields[2] and fields[3] and fields[4]) then
        write_meta(meta, fields[4] or now_ms())
    end
    return true
end

