// Who tried: marks, and from each failure a link to its blocker.

const MARK = 5, CELL = 14;

function drawTries(pen, lane, top) {
  const { time, failed, kind, count } = lane.marks;
  const middle = top + lane.tries + TRY_ROW / 2;
  const first = lower(time, timeOf(-CELL)), last = lower(time, timeOf(view.width + CELL));
  const crowds = [[], []];
  pen.font = `650 10px ${STACK}`;
  for (let i = first; i < last; i++) {
    const x = xOf(time[i]), list = crowds[failed[i]], pale = lane.match && !lane.match[i] ? 1 : 0;
    let cell = list[list.length - 1];
    if (!cell || x - cell.from > CELL || cell.pale !== pale) list.push(cell = { from: x, sum: 0, n: 0, count: 0, kinds: 0, pale, failed: failed[i] });
    cell.sum += x; cell.n++; cell.count += count[i]; cell.kinds |= 1 << kind[i];
    drawn.marks++;
  }
  const [good, bad] = crowds.map(list => apart(pen, list));
  for (const cell of good) beside(cell, bad);
  drawSpells(pen, lane, top, middle);
  for (const cell of bad) for (const row of lane.rows) if (row.kinds.some(kind => cell.kinds & 1 << kind)) link(pen, cell.x, middle - MARK, top + row.y + row.height, cell.pale ? .15 : .7, 1.3);
  for (const cell of [...good, ...bad]) {
    pen.globalAlpha = cell.pale ? .25 : 1;
    if (!cell.failed) ring(pen, cell.x, middle); else if (cell.count > 1) pill(pen, cell, middle); else cross(pen, cell.x, middle);
    pen.globalAlpha = 1;
  }
  for (const look of [view, view.hover]) {
    if (!look || look.lane !== lane || look.mark === null || look.mark === undefined) continue;
    const i = look.mark, x = xOf(time[i]);
    for (const row of lane.rows) if (failed[i] && row.kinds.includes(kind[i])) link(pen, x, middle - MARK, top + row.y + row.height, 1, 2.6);
    failed[i] ? cross(pen, x, middle) : ring(pen, x, middle);
    pen.strokeStyle = view.colours.ink;
    pen.lineWidth = 2;
    pen.beginPath(); pen.arc(x, middle, MARK + 4, 0, 7); pen.stroke();
  }
}

/** A band from failures in a row to what all of them ran into, with an edge where it touches that. */
function drawSpells(pen, lane, top, middle) {
  const { spells, firsts, longest } = ways(lane);
  pen.fillStyle = view.colours.fail;
  for (let n = lower(firsts, view.from - longest); n < spells.length && firsts[n] <= view.to; n++) {
    const spell = spells[n], row = lane.rows.find(row => row.kinds.includes(spell.kind));
    if (!row || spell.last < view.from) continue;
    const left = Math.max(xOf(spell.first) - MARK, -20), right = Math.min(xOf(spell.last) + MARK, view.width + 20), base = top + row.y + row.height;
    pen.globalAlpha = lane.match ? .05 : .13;
    pen.fillRect(left, base, right - left, middle - base);
    pen.globalAlpha = lane.match ? .35 : 1;
    pen.fillRect(left, base - 3, right - left, 3);
    drawn.links++;
  }
  pen.globalAlpha = 1;
}

function link(pen, x, from, to, alpha, thick) {
  pen.globalAlpha = alpha;
  pen.strokeStyle = pen.fillStyle = view.colours.fail;
  pen.lineWidth = thick;
  pen.beginPath(); pen.moveTo(x, from); pen.lineTo(x, to + 3); pen.stroke();
  pen.beginPath(); pen.moveTo(x, to - 1); pen.lineTo(x - 3.5, to + 5); pen.lineTo(x + 3.5, to + 5); pen.fill();
  pen.globalAlpha = 1;
}

function cross(pen, x, y) {
  pen.fillStyle = view.colours.fail;
  pen.beginPath(); pen.arc(x, y, MARK + 1.5, 0, 7); pen.fill();
  pen.strokeStyle = view.colours.onfail;
  pen.lineWidth = 1.6;
  pen.beginPath(); pen.moveTo(x - 2.3, y - 2.3); pen.lineTo(x + 2.3, y + 2.3); pen.moveTo(x + 2.3, y - 2.3); pen.lineTo(x - 2.3, y + 2.3); pen.stroke();
}

function ring(pen, x, y) {
  pen.fillStyle = view.colours.card;
  pen.strokeStyle = view.colours.ok;
  pen.lineWidth = 1.6;
  pen.beginPath(); pen.arc(x, y, MARK + 1, 0, 7); pen.fill(); pen.stroke();
  pen.beginPath(); pen.moveTo(x - 2.6, y + .2); pen.lineTo(x - .7, y + 2.1); pen.lineTo(x + 2.7, y - 2); pen.stroke();
}

/** Joins those that would lie upon each other. */
function apart(pen, list) {
  const rows = [];
  for (const cell of list) {
    let now = place(pen, cell);
    for (let last = rows[rows.length - 1]; last && last.pale === now.pale && now.x - now.half < last.x + last.half - 1; last = rows[rows.length - 1]) {
      rows.pop();
      now = place(pen, { ...last, sum: last.sum + now.sum, n: last.n + now.n, count: last.count + now.count, kinds: last.kinds | now.kinds });
    }
    rows.push(now);
  }
  return rows;
}

function place(pen, cell) {
  cell.x = cell.sum / cell.n;
  cell.words = cell.count > 9999 ? `${Math.round(cell.count / 1000)}k` : String(cell.count);
  cell.half = cell.failed && cell.count > 1 ? Math.max(pen.measureText(cell.words).width / 2 + 4, 7) : MARK + 2;
  return cell;
}

/** Moves a success out from under the failures that it follows or precedes. */
function beside(cell, bad) {
  const over = bad.find(other => Math.abs(other.x - cell.x) < other.half + cell.half);
  if (!over) return;
  const x = over.x + (cell.x < over.x ? -1 : 1) * (over.half + cell.half + 1);
  if (Math.abs(x - cell.x) <= 16) cell.x = x;
}

/** Several failures, and how many. */
function pill(pen, cell, y) {
  const { x, half, words } = cell;
  pen.font = `650 10px ${STACK}`;
  pen.beginPath(); pen.roundRect(x - half, y - 7, half * 2, 14, 7);
  pen.fillStyle = view.colours.fail;
  pen.strokeStyle = view.colours.card;
  pen.lineWidth = 1;
  pen.fill();
  pen.stroke();
  pen.fillStyle = view.colours.onfail;
  pen.fillText(words, x - pen.measureText(words).width / 2, y + .5);
}
