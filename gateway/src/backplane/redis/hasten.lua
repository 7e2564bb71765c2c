#!lua flags=allow-oom
-- Makes events that were put off due now. What is claimed is not among them.
-- KEYS  1 due
-- ARGV  1 how many at most
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local later = redis.call('ZRANGE', KEYS[1], '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[1])
for _, id in ipairs(later) do redis.call('ZADD', KEYS[1], now, id) end
return #later
