-- Writes a batch of a projection: all of it, or nothing.
-- KEYS: projection, parked, rows, entries, keys, an index for each column that has one
-- ARGV: generation, epoch (of the next one: the number of its rebuild), expected checkpoint, checkpoint, then lists, each begun by its length:
--   for each index whether its column is unique; keys of rows to remove; rows to put (key, row, a member's beginning
--   for each index); events to park (position, event); positions to unpark
local projection, parked, rows, entries, keys = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local generation, epoch, expected, checkpoint = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local place = 4
local function take()
  place = place + 1
  return ARGV[place]
end
local function list(read)
  local items = {}
  for number = 1, tonumber(take()) do items[number] = read() end
  return items
end

local indexes = #KEYS - 5
local unique = list(take)
local remove = list(take)
local put = list(function()
  local change = { key = take(), row = take(), members = {} }
  for index = 1, indexes do change.members[index] = take() end
  return change
end)
local park = list(function() return { position = take(), event = take() } end)
local unpark = list(take)

-- May it be written?
local live = generation == 'live'
if live and redis.call('HEXISTS', projection, 'paused') == 1 then return { 'paused' } end
if not live then
  local number = redis.call('HEXISTS', projection, 'next') == 1 and redis.call('HGET', projection, 'rebuild:number')
  if number ~= epoch or redis.call('HEXISTS', projection, 'rebuild:ended_at') == 1 then return { 'ended' } end
end
local actual = redis.call('HGET', projection, generation) or '0'
if actual ~= expected or (live and (redis.call('HGET', projection, 'epoch') or '0') ~= epoch) then
  return { 'moved', actual }
end

-- Would two rows share a value? Only the end of the batch counts.
local replaced = {}
for _, key in ipairs(remove) do replaced[key] = true end
for _, change in ipairs(put) do replaced[change.key] = true end
for index = 1, indexes do
  if unique[index] == '1' then
    local taken = {}
    for _, change in ipairs(put) do
      local value = change.members[index]
      if value ~= '\0' then
        local owners = redis.call('ZRANGEBYLEX', KEYS[5 + index], '[' .. value, '(' .. value .. '\255')
        local owner = owners[1] and string.sub(owners[1], #value + 1)
        if taken[value] or (owner and not replaced[owner]) then return { 'unique', change.key, tostring(index) } end
        taken[value] = true
      end
    end
  end
end

-- Writes.
local function members_of(key)
  local packed = indexes > 0 and redis.call('HGET', entries, key)
  return packed and cmsgpack.unpack(packed) or {}
end
for _, key in ipairs(remove) do
  for index, value in ipairs(members_of(key)) do redis.call('ZREM', KEYS[5 + index], value .. key) end
  redis.call('HDEL', rows, key)
  redis.call('HDEL', entries, key)
  redis.call('ZREM', keys, key)
end
for _, change in ipairs(put) do
  local key, known, changed = change.key, members_of(change.key), false
  for index, value in ipairs(change.members) do
    if known[index] ~= value then
      if known[index] then redis.call('ZREM', KEYS[5 + index], known[index] .. key) end
      redis.call('ZADD', KEYS[5 + index], 0, value .. key)
      changed = true
    end
  end
  if changed then redis.call('HSET', entries, key, cmsgpack.pack(change.members)) end
  if redis.call('HSET', rows, key, change.row) == 1 then redis.call('ZADD', keys, 0, key) end
end
for _, event in ipairs(park) do redis.call('HSET', parked, event.position, event.event) end
for _, position in ipairs(unpark) do redis.call('HDEL', parked, position) end
redis.call('HSET', projection, generation, checkpoint)
return { 'written' }
