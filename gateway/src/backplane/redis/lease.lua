#!lua flags=allow-oom
-- Takes or renews a gateway's lease, and does the room's housekeeping on the way.
-- KEYS  1 gateways  2 room  3 history  4 due  5 claims  6 events  7 tries  8 told  9 dead
-- ARGV  1 incarnation  2 lease, ms  3 expiry of all keys, s  4 key prefix  5 fresh token  6 registry as the gateway
--       knows it ('' at its start)  7 uid of its pod  8 its template  9 whether it drains, 0|1  10 schema it knows
--       11 age of the repair log, ms  12 how long a told end is known, ms  13.. places it saw: epoch, seq
local gateways, room, history = KEYS[1], KEYS[2], KEYS[3]
local me, length, expiry, prefix, fresh, known = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local pod, template, draining, schema, age = ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10]), tonumber(ARGV[11])

-- Milliseconds: microseconds would lose digits where Lua turns numbers into text.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
-- Asked here and not told by the gateway: after a failover, gateways know different servers for a while.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local h = redis.call('HMGET', room, 'schema', 'born', 'run', 'epoch', 'seq', 'former', 'beat', 'quiet', 'said', 'since')
local born, epoch, seq, former, quiet = h[2], h[4], tonumber(h[5] or '0'), h[6], tonumber(h[8] or '0')

if tonumber(h[1] or '0') > schema then return {'schema', tonumber(h[1])} end

-- Only the mark fences. A lease that ran out and that nobody condemned is renewed as if nothing had been.
local mine = redis.call('ZSCORE', gateways, me)
if mine == '0' or (not mine and known ~= '' and known == born) then return {'fenced'} end

if not born then
  born = fresh
  redis.call('HSET', room, 'born', born)
end
-- Since when there is somebody to know everybody. Absent also in a registry that was made by the version before.
if not h[10] then redis.call('HSET', room, 'since', now) end
if h[3] ~= run then
  -- Another server, or one that lost its last writes: numbers may come twice, so they count anew.
  if epoch and seq > 0 then former = seq .. ':' .. epoch end
  epoch, seq, quiet = fresh, 0, now + length
  redis.call('HSET', room, 'run', run, 'epoch', epoch, 'seq', 0)
  redis.call('HDEL', room, 'total', 'marks', 'marked', 'weighed')
  redis.call('UNLINK', history)
elseif h[9] and now - h[9] > age then
  -- Nothing was said for so long that all of it is too old. A room that speaks trims as it publishes.
  redis.call('UNLINK', history)
  redis.call('HDEL', room, 'marks', 'marked', 'weighed', 'said')
end

-- How far the epoch before came, as far as anybody who lives can tell.
for i = 13, #ARGV - 1, 2 do
  local name, saw = ARGV[i], tonumber(ARGV[i + 1])
  if name ~= epoch then
    local highest, whose = string.match(former or '', '^(%d+):(.+)$')
    if not whose or (whose == name and saw > tonumber(highest)) then former = saw .. ':' .. name end
  end
end
if former and former ~= h[6] then redis.call('HSET', room, 'former', former) end

-- A hole in the room's own heartbeat, or a clock that went back: Redis was away, not the gateways.
local gap = now - tonumber(h[7] or '0')
if gap < 0 or gap > length / 2 then quiet = now + length end

redis.call('ZADD', gateways, now + length, me)
redis.call('HSET', room, 't:' .. me, draining .. template)
if known ~= born then redis.call('HSET', room, 'u:' .. me, pod) end

local online, same, other, condemned = 0, 0, 0, {}
local all = redis.call('ZRANGE', gateways, 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local name, deadline = all[i], tonumber(all[i + 1])
  -- Written before the clock went back.
  if deadline > now + length then redis.call('ZADD', gateways, now + length, name) end
  -- A container does not outlive the next one in its pod.
  local predecessor = known == '' and name ~= me and pod ~= '' and redis.call('HGET', room, 'u:' .. name) == pod
  if deadline > 0 and (predecessor or (deadline < now and now >= quiet)) then
    redis.call('ZADD', gateways, 0, name)
    deadline = 0
  end
  if deadline == 0 then
    condemned[#condemned + 1] = name
  else
    online = online + redis.call('HLEN', prefix .. 'conns:' .. name)
    local theirs = redis.call('HGET', room, 't:' .. name) or '0'
    if name ~= me and string.sub(theirs, 1, 1) == '0' then
      if string.sub(theirs, 2) == template then same = same + 1 else other = other + 1 end
    end
  end
  redis.call('EXPIRE', prefix .. 'conns:' .. name, expiry)
  redis.call('EXPIRE', prefix .. 'pending:' .. name, expiry)
end
redis.call('HSET', room, 'schema', schema, 'beat', now, 'quiet', quiet, 'online', online)
redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', now - ARGV[12])
for i = 1, #KEYS do redis.call('EXPIRE', KEYS[i], expiry) end
-- An event whose worker never came back is due as well.
local overdue = redis.call('ZCOUNT', KEYS[4], '-inf', now) + redis.call('ZCOUNT', KEYS[5], '-inf', now)
local cleanups = {overdue, redis.call('HLEN', KEYS[6]), redis.call('XLEN', KEYS[9])}
return {'ok', born, run, online, condemned, cleanups, same, other, epoch, seq, now}
