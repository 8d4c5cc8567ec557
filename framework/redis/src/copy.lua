-- Copies a generation over another.
-- KEYS: projection, then what the one is kept in and what the other is, by turns
-- ARGV: the one generation, the other
-- Answers with the checkpoint; with nothing if the generation isn't there.
local projection, from, to = KEYS[1], ARGV[1], ARGV[2]
local checkpoint = redis.call('HGET', projection, from)
if not checkpoint then
  if from ~= 'live' then return false end
  checkpoint = '0'
end
for place = 2, #KEYS, 2 do
  redis.call('UNLINK', KEYS[place + 1])
  redis.call('COPY', KEYS[place], KEYS[place + 1])
end
redis.call('HSET', projection, to, checkpoint)
return checkpoint
