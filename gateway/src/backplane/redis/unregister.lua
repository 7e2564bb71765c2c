#!lua flags=allow-oom
-- Takes connections out of the registry. Needs no lease: a check would only lose ends, and HDEL decides between the
-- owner and whoever sweeps it.
-- KEYS  1 gateways  2 room  3 conns:<owner>  4 pending:<owner>  5 due  6 events  7 told
-- ARGV  1 incarnation of the owner  2 whether an event is written also for what is not there, 0|1  3 expiry of all
--       keys, s  4.. ID, event or ''
local gateways, room, connections, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local due, events, told = KEYS[5], KEYS[6], KEYS[7]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local counted, removed = 0, 0
for i = 4, #ARGV - 1, 2 do
  local id, event = ARGV[i], ARGV[i + 1]
  local connected, waited = redis.call('HDEL', connections, id), redis.call('HDEL', pending, id)
  counted, removed = counted + connected, removed + connected + waited
  local wanted = event ~= '' and (connected + waited > 0 or ARGV[2] == '1')
  -- One event for an ID, whoever works on it now, and also when it was told a moment ago.
  if wanted and not redis.call('ZSCORE', told, id) and redis.call('HSETNX', events, id, event) == 1 then
    redis.call('ZADD', due, now, id)
  end
end
-- See claim.lua.
for _, key in ipairs({due, events}) do redis.call('EXPIRE', key, ARGV[3], 'NX') end
local lease = redis.call('ZSCORE', gateways, ARGV[1])
-- The connections of a condemned gateway do not count any more.
if counted > 0 and lease and lease ~= '0' then redis.call('HINCRBY', room, 'online', -counted) end
return removed
