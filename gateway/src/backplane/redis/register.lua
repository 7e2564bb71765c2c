#!lua
-- Enters connections into the registry. Refused while Redis is full: nobody comes in then.
-- KEYS  1 gateways  2 room  3 conns:<me>  4 pending:<me>
-- ARGV  1 incarnation  2 pending|confirm|direct  3.. ID, details
local gateways, room, connections, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local lease = redis.call('ZSCORE', gateways, ARGV[1])
if not lease or lease == '0' then return 'fenced' end
local mode, new = ARGV[2], 0
for i = 3, #ARGV - 1, 2 do
  local id, details = ARGV[i], ARGV[i + 1]
  if mode == 'pending' then
    redis.call('HSET', pending, id, details)
  elseif mode == 'confirm' and redis.call('HDEL', pending, id) == 0 then
    -- Swept up meanwhile, if it is not confirmed already.
    if redis.call('HEXISTS', connections, id) == 0 then return 'gone' end
  else
    new = new + redis.call('HSETNX', connections, id, details)
  end
end
if new > 0 then redis.call('HINCRBY', room, 'online', new) end
return 'ok'
