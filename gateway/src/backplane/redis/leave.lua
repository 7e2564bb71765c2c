#!lua flags=allow-oom
-- Gives a lease up, for good. A gateway that still has connections is condemned, so that the others sweep them at once.
-- KEYS  1 gateways  2 room  3 conns:<me>  4 pending:<me>
-- ARGV  1 incarnation
local gateways, room = KEYS[1], KEYS[2]
local lease = redis.call('ZSCORE', gateways, ARGV[1])
if not lease then return 0 end
local counted = redis.call('HLEN', KEYS[3])
local left = counted + redis.call('HLEN', KEYS[4])
if left == 0 then
  redis.call('ZREM', gateways, ARGV[1])
  redis.call('HDEL', room, 'p:' .. ARGV[1], 'u:' .. ARGV[1], 't:' .. ARGV[1])
elseif lease ~= '0' then
  redis.call('ZADD', gateways, 0, ARGV[1])
  redis.call('HINCRBY', room, 'online', -counted)
end
return left
