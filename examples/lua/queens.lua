-- The n queens: for each board size on stdin, how many solutions there are, and the first one drawn.

local function solve(size)
  local rows, columns, rising, falling = {}, {}, {}, {}
  local solutions, first = 0, nil

  local function place(row)
    if row > size then
      solutions = solutions + 1
      first = first or table.move(rows, 1, size, 1, {})
      return
    end
    for column = 1, size do
      local up, down = row + column, row - column
      if not (columns[column] or rising[up] or falling[down]) then
        rows[row], columns[column], rising[up], falling[down] = column, true, true, true
        place(row + 1)
        columns[column], rising[up], falling[down] = nil, nil, nil
      end
    end
  end

  place(1)
  return solutions, first or {}
end

for size in io.lines() do
  size = math.tointeger(tonumber(size)) or error("not a board size: " .. size)
  local solutions, first = solve(size)
  print(("%d queens: %d solution%s"):format(size, solutions, solutions == 1 and "" or "s"))
  for _, column in ipairs(first) do
    print("  " .. (". "):rep(column - 1) .. "Q" .. (" ."):rep(size - column))
  end
end
