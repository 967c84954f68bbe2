-- A page of the dead letters, oldest first. O(log n + page).
--
-- KEYS: 1 dead letters  2 prefix of their records
-- ARGV: 1 how many to skip  2 size of the page
-- Returns {id, payload, attempts, type of the error, its message, ms since 1970} for each.

local last = ARGV[1] + ARGV[2] - 1
local found = redis.call('ZRANGE', KEYS[1], ARGV[1], last, 'WITHSCORES')
local page = {}
for i = 1, #found, 2 do
    local record = KEYS[2] .. ':' .. found[i]
    local fields = redis.call('HMGET', record, 'payload', 'attempts', 'error_type', 'error_message')
    local letter = { found[i] }
    for field = 1, 4 do
        table.insert(letter, fields[field] or '')
    end
    table.insert(letter, found[i + 1])
    table.insert(page, letter)
end
return page
