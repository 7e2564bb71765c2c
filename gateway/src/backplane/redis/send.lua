#!lua flags=allow-oom
-- Sends a post to another gateway, and says for sure when there is no such gateway any more.
-- KEYS  1 gateways  2 room
-- ARGV  1 incarnation of the other  2 its channel  3 the post  4 how long it is good for, ms  5 lease, ms
local lease = redis.call('ZSCORE', KEYS[1], ARGV[1])
if lease == '0' then return 'gone' end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if not lease then
  -- A registry that lost its data knows everybody again after one lease; twice that is for sure.
  local since = tonumber(redis.call('HGET', KEYS[2], 'since') or now)
  if now - since < 2 * ARGV[5] then return 'young' end
  return 'gone'
end
-- backplane/redis/subscriber.rs reads this.
local post = struct.pack('>BI8', 1, now + ARGV[4]) .. ARGV[3]
if redis.call('PUBLISH', ARGV[2], post) == 0 then return 'unheard' end
return 'sent'
