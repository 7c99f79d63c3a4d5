// The n queens: for each board size on stdin, how many solutions there are, and the first one drawn.
"use strict";

const fs = require("fs");

function count(all, columns, left, right) {
  if (columns === all) return 1;
  let solutions = 0;
  for (let free = all & ~(columns | left | right); free !== 0; ) {
    const queen = free & -free;
    free ^= queen;
    solutions += count(all, columns | queen, ((left | queen) << 1) & all, (right | queen) >> 1);
  }
  return solutions;
}

function first(size, rows = []) {
  if (rows.length === size) return rows;
  for (let column = 0; column < size; column++) {
    const isFree = rows.every((other, row) => other !== column && Math.abs(other - column) !== rows.length - row);
    const found = isFree && first(size, [...rows, column]);
    if (found) return found;
  }
  return null;
}

const sizes = fs.readFileSync(0, "utf8").split(/\s+/).filter(Boolean).map(Number);
for (const size of sizes) {
  const solutions = count((1 << size) - 1, 0, 0, 0);
  console.log(`${size} queens: ${solutions} solution${solutions === 1 ? "" : "s"}`);
  for (const queen of first(size) ?? []) {
    console.log("  " + ". ".repeat(queen) + "Q" + " .".repeat(size - queen - 1));
  }
}
