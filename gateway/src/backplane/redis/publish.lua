#!lua
-- Gives a batch its place in the room's order, keeps it in the repair log, and sends it to every gateway.
-- KEYS  1 gateways  2 room  3 history
-- ARGV  1 incarnation  2 its number of the batch  3 epoch it believes in  4 highest seq it saw there  5 fresh epoch
--       6 channel  7 how many messages  8 the messages, encoded  9 age of the repair log, ms  10 its size, bytes
--       11 version of the encoding
local gateways, room, history = KEYS[1], KEYS[2], KEYS[3]
local me, number, epoch, seen, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[6]
local count, messages, age, size = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])

local lease = redis.call('ZSCORE', gateways, me)
if not lease or lease == '0' then return {'fenced'} end
local h = redis.call('HMGET', room, 'epoch', 'seq', 'online', 'p:' .. me, 'total', 'marked', 'weighed')
if h[1] ~= epoch then return {'epoch', h[1] or ''} end
-- A repeat of a batch whose answer got lost. Its place may be in the epoch before.
local newest, place, people, where = string.match(h[4] or '', '^(%d+):(%d+):(%d+):(.+)$')
if newest and number <= tonumber(newest) then return {'placed', where, tonumber(place), tonumber(people)} end

local seq, online, total = tonumber(h[2] or '0'), tonumber(h[3] or '0'), tonumber(h[5] or '0')
local marked, weighed = tonumber(h[6] or '0'), tonumber(h[7] or '0')
if seq < seen then
  -- Redis forgot numbers that were already taken: they count anew.
  redis.call('HSET', room, 'former', seen .. ':' .. epoch)
  redis.call('HDEL', room, 'marks')
  redis.call('UNLINK', history)
  epoch, seq, total, marked, weighed = ARGV[5], 0, 0, 0, 0
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local last = seq + count
-- backplane/envelope.rs reads this.
local batch = struct.pack('>BI8I8I4B', tonumber(ARGV[11]), seq + 1, online, count, #epoch) .. epoch .. messages

-- The log is cut at marks (when:seq:bytes so far), a few of which span its age and its size: so no entry is ever read.
if now - marked >= age / 6 or total + #batch - weighed >= size / 8 then
  local kept, cut = {}, 0
  for at, upto, bytes in string.gmatch(redis.call('HGET', room, 'marks') or '', '(%d+):(%d+):(%d+)') do
    if now - at > age or total + #batch - bytes > size * 3 / 4 then
      cut = tonumber(upto)
    else
      kept[#kept + 1] = at .. ':' .. upto .. ':' .. bytes
    end
  end
  if cut > 0 then redis.call('XTRIM', history, 'MINID', (cut + 1) .. '-0') end
  kept[#kept + 1] = now .. ':' .. seq .. ':' .. total
  redis.call('HSET', room, 'marks', table.concat(kept, ' '), 'marked', now, 'weighed', total)
end

redis.call('HSET', room, 'epoch', epoch, 'seq', last, 'p:' .. me, ARGV[2] .. ':' .. last .. ':' .. online .. ':' .. epoch,
  'total', total + #batch,
  'said', now)
-- Named by its last number, so that whoever asks for what is behind a number also finds a batch that it cuts.
redis.call('XADD', history, last .. '-0', 'b', batch)
redis.call('PUBLISH', channel, batch)
return {'placed', epoch, last, online}
