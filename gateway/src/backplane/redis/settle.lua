#!lua flags=allow-oom
-- Says what became of claimed events. "Done" always counts; the rest only from whoever claimed the event last, so that a
-- worker that was frozen does not put off what another one is busy with.
-- KEYS  1 due  2 claims  3 events  4 tries  5 told  6 dead
-- ARGV  1 most that are kept dead  2 expiry of all keys, s  3.. ID, which try it was, done|later|bury, when again in ms | why it is given up
local due, claims, events, tries, told, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local settled = 0
for i = 3, #ARGV - 3, 4 do
  local id, try, outcome, more = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local count, first = string.match(redis.call('HGET', tries, id) or '', '^(%d+):(%d+)$')
  local event = redis.call('HGET', events, id)
  local last = event and count == try
  if outcome == 'done' then
    -- Known for a while, so that an end that is written again makes no second event.
    redis.call('ZADD', told, now, id)
  elseif outcome == 'bury' and last then
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[1], '*', 'id', id, 'event', event, 'tries', count, 'first', first, 'why', more)
  end
  if outcome == 'later' and last then
    redis.call('ZREM', claims, id)
    redis.call('ZADD', due, now + more, id)
    settled = settled + 1
  elseif outcome == 'done' or (outcome == 'bury' and last) then
    settled = settled + redis.call('HDEL', events, id)
    redis.call('HDEL', tries, id)
    redis.call('ZREM', due, id)
    redis.call('ZREM', claims, id)
  end
end
-- See claim.lua.
for _, key in ipairs({due, told, dead}) do redis.call('EXPIRE', key, ARGV[2], 'NX') end
return settled
