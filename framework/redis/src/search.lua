-- Reads rows, and how many there are, at one moment.
-- KEYS: rows, the index to look into
-- ARGV: 'all'
--    or 'keys', keys of rows
--    or 'ranges', what the members are (keys, or values with keys), members to pass over, members to read at most (-1:
--      all), pairs of bounds
-- Answers with the rows and how many members the ranges have.
local rows, index = KEYS[1], KEYS[2]

-- A row for each key that has one; as many keys at once as a call takes.
local function rows_of(keys)
  local found = {}
  for first = 1, #keys, 4000 do
    local last = math.min(first + 3999, #keys)
    for _, row in ipairs(redis.call('HMGET', rows, unpack(keys, first, last))) do
      -- A missing one is `false`.
      if row then found[#found + 1] = row end
    end
  end
  return found
end

-- What comes after the value in a member of a column's index.
local function key_of(member)
  local class = string.byte(member)
  if class == 0 then return string.sub(member, 2) end
  if class == 1 then return string.sub(member, 10) end
  local _, last = string.find(member, '\0\1', 2, true)
  return string.sub(member, last + 1)
end

if ARGV[1] == 'all' then return { redis.call('HVALS', rows), 0 } end

local keys, total = {}, 0
if ARGV[1] == 'keys' then
  for at = 2, #ARGV do keys[at - 1] = ARGV[at] end
else
  for at = 5, #ARGV, 2 do
    local min, max = ARGV[at], ARGV[at + 1]
    total = total + redis.call('ZLEXCOUNT', index, min, max)
    for _, member in ipairs(redis.call('ZRANGEBYLEX', index, min, max, 'LIMIT', ARGV[3], ARGV[4])) do
      keys[#keys + 1] = ARGV[2] == 'keys' and member or key_of(member)
    end
  end
end
return { rows_of(keys), total }
