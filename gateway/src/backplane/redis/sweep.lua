#!lua flags=allow-oom
-- Takes some connections of a condemned gateway out of the registry. The gateway itself goes last, so that anybody can go
-- on where somebody stopped.
-- KEYS  1 gateways  2 conns:<condemned>  3 pending:<condemned>  4 due  5 events  6 told  7 room
-- ARGV  1 incarnation  2 how many at most of each hash  3 whether events are wanted, 0|1  4 expiry of all keys, s
local gateways, due, events, told, room = KEYS[1], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
if redis.call('ZSCORE', gateways, ARGV[1]) ~= '0' then return {0, 0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local swept, left = 0, 0
for k = 2, 3 do
  -- A cursor would not do: deleting while scanning skips most of a large hash.
  local some = redis.call('HRANDFIELD', KEYS[k], ARGV[2], 'WITHVALUES')
  for i = 1, #some, 2 do
    local id, details = some[i], some[i + 1]
    redis.call('HDEL', KEYS[k], id)
    swept = swept + 1
    local wanted = ARGV[3] == '1' and not redis.call('ZSCORE', told, id)
    if wanted and redis.call('HSETNX', events, id, details) == 1 then redis.call('ZADD', due, now, id) end
  end
  left = left + redis.call('HLEN', KEYS[k])
end
-- See claim.lua.
for _, key in ipairs({due, events}) do redis.call('EXPIRE', key, ARGV[4], 'NX') end
if left == 0 then
  redis.call('ZREM', gateways, ARGV[1])
  redis.call('HDEL', room, 'p:' .. ARGV[1], 'u:' .. ARGV[1], 't:' .. ARGV[1])
end
return {swept, left}
