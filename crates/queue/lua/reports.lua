-- The latest report of each process. Deletes those that are older than ARGV[1] seconds. O(processes).
--
-- KEYS: 1 reports
-- Returns {process, seconds since its report, report, ...}.

local now = tonumber(redis.call('TIME')[1])
local reports = redis.call('HGETALL', KEYS[1])
local recent = {}
for i = 1, #reports, 2 do
    local at, report = string.match(reports[i + 1], '^(%d+) (.*)$')
    local age = at and math.max(0, now - tonumber(at))
    if age and age <= tonumber(ARGV[1]) then
        table.insert(recent, reports[i])
        table.insert(recent, age)
        table.insert(recent, report)
    else
        redis.call('HDEL', KEYS[1], reports[i])
    end
end
return recent
