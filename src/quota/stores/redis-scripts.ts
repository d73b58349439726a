import { redisScript } from '../../runtime/redis.ts'

// Whole numbers up to 2^53 stay exact in Lua's doubles; '%.0f' prints them without an exponent.

const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
`

/** `exchanged` of rules.ts, over a hash. An empty list: the window has been over for long. */
export const exchangeScript = redisScript(`${clock}
local limit, back, owed = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local at_least, wanted, leased = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local forget_at, wanted_for, lease_share = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if forget_at <= now then return {} end
local row = redis.call('HMGET', KEYS[1], 'taken', 'leased', 'wanted_until')
local wanted_until = tonumber(row[3] or 0)
local before = math.max(tonumber(row[1] or 0) - back, 0) + owed
local free = limit - before
local share = wanted_until > now and 0 or math.floor(free / lease_share)
local taken = 0
if wanted > 0 and free >= math.max(at_least, 1) then taken = math.max(at_least, math.min(wanted, share)) end
if at_least > 0 and taken == 0 then wanted_until = now + wanted_for end
local all = before + taken
local unused = math.max(tonumber(row[2] or 0) + leased + taken, 0)
redis.call('HSET', KEYS[1], 'taken', whole(all), 'leased', whole(unused), 'wanted_until', whole(wanted_until))
redis.call('PEXPIREAT', KEYS[1], whole(forget_at))
return { taken, all, unused, wanted_until > now and 1 or 0 }
`)

/** `heldNow` of rules.ts, over a hash of holder → "held until sequence"; the field "*" contains until when a caller waits. */
export const holdScript = redisScript(`${clock}
local holder, limit = ARGV[1], tonumber(ARGV[2])
local keep, at_least, slots = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local ttl, sequence = tonumber(ARGV[6]), tonumber(ARGV[7])
local wanted_for, lease_share = tonumber(ARGV[8]), tonumber(ARGV[9])
local others, last, wanted_until, latest = 0, 0, 0, 0
local rows = redis.call('HGETALL', KEYS[1])
for at = 1, #rows, 2 do
  if rows[at] == '*' then
    wanted_until = tonumber(rows[at + 1])
  else
    local held, till, number = string.match(rows[at + 1], '^(%d+) (%d+) (%d+)$')
    held, till, number = tonumber(held), tonumber(till), tonumber(number)
    if rows[at] == holder then
      last = number
    elseif till > now then
      others = others + held
      latest = math.max(latest, till)
    else
      redis.call('HDEL', KEYS[1], rows[at])
    end
  end
end
local is_wanted = wanted_until > now
if sequence <= last then return { 0, others, is_wanted and 1 or 0 } end
local free = math.max(limit - others, 0)
local refused = free < at_least
local share = is_wanted and 0 or math.floor((free - at_least) / lease_share)
local held = refused and math.min(keep, free) or math.min(slots, at_least + share)
if slots == 0 then
  redis.call('HDEL', KEYS[1], holder)
else
  redis.call('HSET', KEYS[1], holder, whole(held) .. ' ' .. whole(now + ttl) .. ' ' .. whole(sequence))
  latest = math.max(latest, now + ttl)
end
if refused then
  wanted_until = now + wanted_for
  redis.call('HSET', KEYS[1], '*', whole(wanted_until))
end
redis.call('PEXPIREAT', KEYS[1], whole(math.max(latest, wanted_until, now) + 60000))
return { held, others, (is_wanted or refused) and 1 or 0 }
`)
