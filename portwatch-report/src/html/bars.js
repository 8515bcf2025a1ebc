// Who has the port: bars with names for listeners and bound sockets, heights for connections and TIME_WAITs.

/** Bars with names in them: those that blocked lie upon the others. */
function drawBars(pen, lane, row, top) {
  const { blocked } = ways(lane), covered = [-1e9, -1e9], inTheWay = [];
  const first = lower(row.starts, view.from - row.longest), last = lower(row.starts, view.to + 1e-9);
  for (let n = first; n < last; n++) {
    if (row.ends[n] < view.from) continue;
    const i = row.of[n], k = lane.holds.kind[i];
    const left = Math.max(xOf(row.starts[n]), -8), right = Math.min(Math.max(xOf(row.ends[n]), left + (blocked[i] ? 4 : 2)), view.width + 8);
    if (blocked[i]) { inTheWay.push([i, left, right]); continue; }
    if (right <= covered[k] + .5) continue;
    covered[k] = right;
    drawBar(pen, lane, row, top + row.y, i, left, right);
  }
  for (const [i, left, right] of inTheWay) drawBar(pen, lane, row, top + row.y, i, left, right);
}

/** Those that were in nobody's way are pale, those that do not listen are hollow. */
function drawBar(pen, lane, row, y, i, left, right) {
  const { kind, who: whose, begun, ended } = lane.holds, { blocked } = ways(lane), { colours } = view;
  const soft = begun[i] ? 4 : 0, hard = ended[i] === 0 ? 4 : 0, wide = right - left, hollow = kind[i] === 1;
  const shape = inset => { pen.beginPath(); pen.roundRect(left + inset, y + inset, Math.max(wide - 2 * inset, 1), row.height - 2 * inset, wide > 8 ? [soft, hard, hard, soft] : 1); };
  shape(0);
  pen.fillStyle = blocked[i] ? colours.k0 : colours.idle;
  pen.fill();
  const sure = xOf(doubtful(lane, i));
  if (sure < right) { pen.globalAlpha = .72; pen.fillStyle = colours.card; pen.fillRect(sure, y, right - sure, row.height); pen.globalAlpha = 1; }
  if (hollow && wide > 5) { shape(1.5); pen.fillStyle = colours.k1; pen.fill(); }
  // A hair of ground between neighbours tells them apart.
  if (wide > 4) { pen.fillStyle = colours.card; pen.fillRect(right - .75, y, .75, row.height); }
  if (view.hover && view.hover.lane === lane && view.hover.hold === i || isInTheWay(lane, i)) { shape(0); pen.strokeStyle = colours.ink; pen.lineWidth = 2; pen.stroke(); }
  const from = Math.max(left, 0) + 8, room = Math.min(right, sure, view.width) - from - 6;
  if (room > 34) {
    pen.fillStyle = hollow ? colours.ink : blocked[i] ? colours.on0 : colours.onidle;
    pen.font = `600 11px ${STACK}`;
    pen.fillText(fitted(pen, [who(whose[i], true), who(whose[i])], room), from, y + row.height / 2 + .5);
  }
  drawn.holds++;
}

/** From when on a hold may be over: its end was not seen, nor has it a timer, and records were lost. */
function doubtful(lane, i) {
  const { start, end, ended } = lane.holds;
  if (ended[i] === 0 || ended[i] === 2) return Infinity;
  const gap = known(lane.host).gaps.find(gap => gap.from > start[i] && gap.from < end[i]);
  return gap ? gap.from : Infinity;
}

/** The longest of these words that there is room for; the last one is cut to fit. */
function fitted(pen, words, room) {
  const whole = words.find(word => pen.measureText(word).width <= room);
  if (whole !== undefined) return whole;
  const last = words[words.length - 1];
  let low = 0, high = last.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(last.slice(0, middle) + '…').width <= room) low = middle; else high = middle - 1;
  }
  return low > 2 ? last.slice(0, low) + '…' : '';
}

/** How many there are at each moment: connections and TIME_WAITs; pale are those that may be over. */
function drawCrowd(pen, lane, row, top) {
  const k = row.kinds[0], width = Math.ceil(view.width), unsure = known(lane.host).gaps.length > 0;
  const all = unsure ? new Float64Array(width + 2) : null;
  const sure = view.steps && view.steps.length === width + 2 ? view.steps.fill(0) : view.steps = new Float64Array(width + 2);
  const first = lower(row.starts, view.from - row.longest), last = lower(row.starts, view.to + 1e-9);
  const add = (steps, n, end) => {
    const left = Math.min(Math.max(Math.floor(xOf(row.starts[n])), 0), width);
    const right = Math.min(Math.max(Math.ceil(xOf(end)), left + 1), width + 1);
    steps[left] += row.weights[n];
    steps[right] -= row.weights[n];
  };
  for (let n = first; n < last; n++) {
    if (row.ends[n] < view.from) continue;
    const until = unsure ? Math.min(doubtful(lane, row.of[n]), row.ends[n]) : row.ends[n];
    if (until >= view.from) add(sure, n, until);
    if (all) add(all, n, row.ends[n]);
    drawn.holds++;
  }
  pen.fillStyle = k === 3 ? timeWait(pen) : view.colours.k2;
  const base = top + row.y + row.height;
  if (all) { pen.globalAlpha = .35; fillSteps(pen, all, row, base, width); pen.globalAlpha = 1; }
  fillSteps(pen, sure, row, base, width);
  if (view.hover && view.hover.lane === lane && view.hover.row === row && view.hover.hold !== null) outline(pen, lane, view.hover.hold, top, row);
  for (const i of row.of.length < 2000 ? row.of : []) if (isInTheWay(lane, i)) outline(pen, lane, i, top, row);
}

function fillSteps(pen, steps, row, base, width) {
  pen.beginPath();
  let now = 0, x = 0;
  while (x < width) {
    now += steps[x];
    let end = x + 1;
    while (end < width && steps[end] === 0) end++;
    if (now > 1e-6) {
      const tall = Math.max(Math.sqrt(Math.min(now / row.most, 1)) * row.height, 5);
      pen.rect(x, base - tall, end - x, tall);
    }
    x = end;
  }
  pen.fill();
}

function outline(pen, lane, i, top, row) {
  const left = xOf(lane.holds.start[i]), right = Math.max(xOf(lane.holds.end[i]), left + 2);
  pen.strokeStyle = view.colours.ink;
  pen.lineWidth = 1.5;
  pen.strokeRect(left, top + row.y, right - left, row.height);
}

/** The attempt that is looked at. */
function looked() {
  return view.hover && view.hover.mark !== null && view.hover.mark !== undefined ? view.hover : view.mark !== null ? view : null;
}

/** True if this hold is what the attempt that is looked at ran into. */
function isInTheWay(lane, i) {
  const look = looked();
  return Boolean(look) && look.lane === lane && ways(lane).hold[look.mark] === i;
}
