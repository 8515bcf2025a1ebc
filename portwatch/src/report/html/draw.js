// The picture. Everything that is in view is drawn anew; what is closer together than can be seen is drawn as one.

const STACK = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
const MARK = 5, CELL = 14;
const xOf = time => (time - view.from) / (view.to - view.from) * view.width;
const timeOf = x => view.from + x / view.width * (view.to - view.from);
const drawn = { marks: 0, holds: 0, frames: 0, lanes: 0 };

/** Sizes a canvas to its box, in the screen's own pixels. */
function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return [pen, width, height];
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['page', 'card', 'ink', 'soft', 'faint', 'line', 'stripe', 'accent', 'k0', 'k1', 'k2', 'k3', 'fail', 'ok', 'on0', 'on1']) {
    view.colours[name] = style.getPropertyValue('--' + name).trim();
  }
  view.hatch = null;
}

/** Stripes, so that TIME_WAIT is told from the rest without its colour. */
function hatch(pen) {
  if (view.hatch) return view.hatch;
  const ratio = window.devicePixelRatio || 1, tile = document.createElement('canvas'), size = 6 * ratio;
  tile.width = tile.height = size;
  const ink = tile.getContext('2d');
  ink.fillStyle = view.colours.k3;
  ink.fillRect(0, 0, size, size);
  ink.strokeStyle = view.colours.card;
  ink.globalAlpha = .42;
  ink.lineWidth = 2 * ratio;
  for (const shift of [-size, 0, size]) {
    ink.beginPath(); ink.moveTo(shift, size); ink.lineTo(shift + size, 0); ink.stroke();
  }
  view.hatch = pen.createPattern(tile, 'repeat');
  view.hatch.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, 0, 0]));
  return view.hatch;
}

function drawAxis() {
  const [pen, width, height] = prepare($('axis'));
  pen.font = `11px ${STACK}`;
  pen.textBaseline = 'middle';
  pen.strokeStyle = view.colours.line;
  for (const [time, words] of ticks(view.from, view.to, width)) {
    const x = Math.round(xOf(time)) + .5;
    pen.beginPath(); pen.moveTo(x, height - 6); pen.lineTo(x, height); pen.stroke();
    const half = pen.measureText(words).width / 2;
    pen.fillStyle = view.colours.soft;
    pen.fillText(words, Math.min(Math.max(x - half, 4), width - 2 * half - 4), height / 2 - 2);
  }
}

/** Failures over the whole time, and which part of it is in view. */
function drawOverview() {
  const [pen, width, height] = prepare($('overview'));
  const whole = view.most - view.least, cells = Math.max(Math.floor(width / 3), 1);
  if (!view.histogram || view.histogram.length !== cells) {
    const bins = view.histogram = new Float64Array(cells);
    for (const lane of data.lanes) {
      const { time, failed, count } = lane.marks;
      for (const i of lane.events) if (failed[i]) bins[Math.min(Math.floor((time[i] - view.least) / whole * cells), cells - 1)] += count[i];
    }
  }
  const most = view.histogram.reduce((a, b) => Math.max(a, b), 1);
  pen.fillStyle = view.colours.fail;
  view.histogram.forEach((count, cell) => {
    if (!count) return;
    const tall = 3 + Math.sqrt(count / most) * (height - 14);
    pen.globalAlpha = .85;
    pen.fillRect(cell * width / cells + .5, height - 4 - tall, Math.max(width / cells - 1, 1), tall);
  });
  const left = (view.from - view.least) / whole * width, right = (view.to - view.least) / whole * width;
  pen.globalAlpha = 1;
  if (right - left < width - 1) {
    pen.fillStyle = view.colours.page;
    pen.globalAlpha = .72;
    pen.fillRect(0, 0, left, height);
    pen.fillRect(right, 0, width - right, height);
    pen.globalAlpha = 1;
    pen.strokeStyle = view.colours.accent;
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.roundRect(left + .75, 1, Math.max(right - left - 1.5, 3), height - 2, 4); pen.stroke();
  }
}

/** Times when nothing was traced. */
function drawUntraced(pen, height) {
  if (data.sessions.length < 2 || several) return;
  pen.fillStyle = view.colours.faint;
  pen.globalAlpha = .13;
  for (let i = 1; i < data.sessions.length; i++) {
    const left = xOf(data.sessions[i - 1][2]), right = xOf(data.sessions[i][1]);
    if (right > 0 && left < view.width) pen.fillRect(left, 0, Math.max(right - left, 1), height);
  }
  pen.globalAlpha = 1;
}

/** Bars with names in them: listeners and bound sockets. */
function drawBars(pen, lane, row, top) {
  const { kind, who: whose, begun, ended } = lane.holds;
  const y = top + row.y;
  let covered = [-1e9, -1e9];
  const first = lower(row.starts, view.from - row.longest), last = lower(row.starts, view.to + 1e-9);
  for (let n = first; n < last; n++) {
    if (row.ends[n] < view.from) continue;
    const i = row.of[n], k = kind[i];
    const left = Math.max(xOf(row.starts[n]), -8), right = Math.min(Math.max(xOf(row.ends[n]), left + 1.5), view.width + 8);
    if (right <= covered[k] + .5) continue;
    covered[k] = right;
    drawn.holds++;
    const hot = view.hover && view.hover.lane === lane && view.hover.hold === i || blocks(lane, i);
    pen.fillStyle = view.colours['k' + k];
    pen.beginPath();
    const soft = begun[i] ? 4 : 0, hard = ended[i] === 0 ? 4 : 0;
    pen.roundRect(left, y, right - left, row.height, right - left > 8 ? [soft, hard, hard, soft] : 1);
    pen.fill();
    if (hot) { pen.strokeStyle = view.colours.ink; pen.lineWidth = 2; pen.stroke(); }
    const from = Math.max(left, 0) + 7, room = Math.min(right, view.width) - from - 6;
    if (room > 34) {
      pen.fillStyle = k ? view.colours.on1 : view.colours.on0;
      pen.font = `600 11px ${STACK}`;
      pen.textBaseline = 'middle';
      pen.fillText(fitted(pen, who(whose[i], room > 190) || KINDS[k], room), from, y + row.height / 2 + .5);
    }
  }
}

function fitted(pen, words, room) {
  if (pen.measureText(words).width <= room) return words;
  let low = 0, high = words.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(words.slice(0, middle) + '…').width <= room) low = middle; else high = middle - 1;
  }
  return low > 2 ? words.slice(0, low) + '…' : '';
}

/** How many there are at each moment: connections and TIME_WAITs. */
function drawCrowd(pen, lane, row, top) {
  const k = row.kinds[0], width = Math.ceil(view.width);
  const steps = view.steps && view.steps.length === width + 2 ? view.steps.fill(0) : view.steps = new Float64Array(width + 2);
  const first = lower(row.starts, view.from - row.longest), last = lower(row.starts, view.to + 1e-9);
  let any = false;
  for (let n = first; n < last; n++) {
    if (row.ends[n] < view.from) continue;
    const left = Math.max(Math.floor(xOf(row.starts[n])), 0);
    const right = Math.min(Math.max(Math.ceil(xOf(row.ends[n])), left + 1), width);
    steps[left] += row.weights[n];
    steps[right] -= row.weights[n];
    drawn.holds++;
    any = true;
  }
  if (!any) return;
  const base = top + row.y + row.height;
  pen.fillStyle = k === 3 ? hatch(pen) : view.colours.k2;
  pen.beginPath();
  let now = 0, x = 0;
  while (x < width) {
    now += steps[x];
    let end = x + 1;
    while (end < width && steps[end] === 0) end++;
    if (now > 1e-6) {
      const tall = Math.max(Math.sqrt(Math.min(now / row.most, 1)) * row.height, 4);
      pen.rect(x, base - tall, end - x, tall);
    }
    x = end;
  }
  pen.fill();
  pen.fillStyle = view.colours.line;
  pen.fillRect(0, base, view.width, 1);
  if (view.hover && view.hover.lane === lane && view.hover.row === row && view.hover.hold !== null) outline(pen, lane, view.hover.hold, top, row);
}

function outline(pen, lane, i, top, row) {
  const left = xOf(lane.holds.start[i]), right = Math.max(xOf(lane.holds.end[i]), left + 2);
  pen.strokeStyle = view.colours.ink;
  pen.lineWidth = 1.5;
  pen.strokeRect(left, top + row.y, right - left, row.height);
}

/** True if this hold is what the attempt that is looked at ran into. */
function blocks(lane, i) {
  const look = view.hover && view.hover.mark !== null ? view.hover : view.mark !== null ? view : null;
  if (!look || look.lane !== lane || look.mark === null || look.mark === undefined) return false;
  const { marks, holds } = lane, m = look.mark;
  return marks.kind[m] === holds.kind[i] && marks.blocker[m] === holds.who[i] && holds.start[i] <= marks.time[m] && marks.time[m] <= holds.end[i];
}

/** Attempts, and from each failure a line to what was in its way. */
function drawTries(pen, lane, top) {
  const { time, failed, kind, count } = lane.marks;
  const middle = top + lane.tries + TRY_ROW / 2;
  const first = lower(time, timeOf(-CELL)), last = lower(time, timeOf(view.width + CELL));
  const crowds = [[], []];
  pen.font = `650 9.5px ${STACK}`;
  for (let i = first; i < last; i++) {
    const x = xOf(time[i]), list = crowds[failed[i]], pale = lane.match && !lane.match[i] ? 1 : 0;
    let cell = list[list.length - 1];
    if (!cell || x - cell.from > CELL || cell.pale !== pale) list.push(cell = { from: x, sum: 0, n: 0, count: 0, kinds: 0, pale, failed: failed[i] });
    cell.sum += x; cell.n++; cell.count += count[i]; cell.kinds |= 1 << kind[i];
    drawn.marks++;
  }
  const [good, bad] = crowds.map(list => apart(pen, list));
  for (const cell of good) beside(cell, bad);
  for (const cell of bad) {
    for (const row of lane.rows) {
      if (row.kinds.some(kind => cell.kinds & 1 << kind)) link(pen, cell.x, middle - MARK, top + row.y + row.height, cell.pale ? .12 : .55, 1.2);
    }
  }
  for (const cell of [...good, ...bad]) {
    pen.globalAlpha = cell.pale ? .22 : 1;
    if (cell.count > 1) pill(pen, cell, middle); else if (cell.failed) cross(pen, cell.x, middle); else ring(pen, cell.x, middle);
    pen.globalAlpha = 1;
  }
  for (const look of [view, view.hover]) {
    if (!look || look.lane !== lane || look.mark === null || look.mark === undefined) continue;
    const i = look.mark, x = xOf(time[i]);
    for (const row of lane.rows) if (failed[i] && row.kinds.includes(kind[i])) link(pen, x, middle - MARK, top + row.y + row.height, 1, 2.2);
    failed[i] ? cross(pen, x, middle) : ring(pen, x, middle);
    pen.strokeStyle = view.colours.accent;
    pen.lineWidth = 2;
    pen.beginPath(); pen.arc(x, middle, MARK + 4, 0, 7); pen.stroke();
  }
}

function link(pen, x, from, to, alpha, thick) {
  pen.globalAlpha = alpha;
  pen.strokeStyle = pen.fillStyle = view.colours.fail;
  pen.lineWidth = thick;
  pen.beginPath(); pen.moveTo(x, from); pen.lineTo(x, to + 3); pen.stroke();
  pen.beginPath(); pen.moveTo(x, to - 2); pen.lineTo(x - 3.5, to + 4); pen.lineTo(x + 3.5, to + 4); pen.fill();
  pen.globalAlpha = 1;
}

function cross(pen, x, y) {
  pen.fillStyle = view.colours.fail;
  pen.beginPath(); pen.arc(x, y, MARK + .5, 0, 7); pen.fill();
  pen.strokeStyle = view.colours.card;
  pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(x - 2.2, y - 2.2); pen.lineTo(x + 2.2, y + 2.2); pen.moveTo(x + 2.2, y - 2.2); pen.lineTo(x - 2.2, y + 2.2); pen.stroke();
}

function ring(pen, x, y) {
  pen.fillStyle = view.colours.card;
  pen.strokeStyle = view.colours.ok;
  pen.lineWidth = 2;
  pen.beginPath(); pen.arc(x, y, MARK - .5, 0, 7); pen.fill(); pen.stroke();
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
  cell.half = cell.count > 1 ? Math.max(pen.measureText(cell.words).width / 2 + 4, 7) : MARK + 1;
  return cell;
}

/** Moves a success out from under the failures that it follows or precedes. */
function beside(cell, bad) {
  const over = bad.find(other => Math.abs(other.x - cell.x) < other.half + cell.half);
  if (!over) return;
  const x = over.x + (cell.x < over.x ? -1 : 1) * (over.half + cell.half + 1);
  if (Math.abs(x - cell.x) <= 14) cell.x = x;
}

/** Several attempts, and how many. */
function pill(pen, cell, y) {
  const { x, half, words } = cell;
  pen.font = `650 9.5px ${STACK}`;
  pen.beginPath(); pen.roundRect(x - half, y - 7, half * 2, 14, 7);
  pen.fillStyle = cell.failed ? view.colours.fail : view.colours.card;
  pen.strokeStyle = cell.failed ? view.colours.card : view.colours.ok;
  pen.lineWidth = cell.failed ? 1 : 1.6;
  pen.fill();
  pen.stroke();
  pen.fillStyle = cell.failed ? view.colours.card : view.colours.ok;
  pen.textBaseline = 'middle';
  pen.fillText(words, x - pen.measureText(words).width / 2, y + .5);
}

function drawLanes() {
  const [pen, width, height] = prepare($('lanes'));
  view.width = width;
  view.height = height;
  Object.assign(drawn, { marks: 0, holds: 0, lanes: 0 });
  const scroll = $('stage').scrollTop;
  const lines = ticks(view.from, view.to, width);
  drawUntraced(pen, height);
  pen.fillStyle = view.colours.line;
  pen.globalAlpha = .7;
  for (const [time] of lines) pen.fillRect(Math.round(xOf(time)), 0, 1, Math.min(height, view.total - scroll));
  pen.globalAlpha = 1;
  const first = Math.max(lower(view.tops, scroll + .5) - 1, 0);
  for (let n = first; n < view.lanes.length && view.tops[n] < scroll + height; n++) {
    const lane = view.lanes[n], top = view.tops[n] - scroll;
    if (lane === view.lane) { pen.fillStyle = view.colours.accent; pen.globalAlpha = .05; pen.fillRect(0, top, width, lane.height); pen.globalAlpha = 1; }
    for (const row of lane.rows) row.kinds[0] === 0 ? drawBars(pen, lane, row, top) : drawCrowd(pen, lane, row, top);
    drawTries(pen, lane, top);
    pen.fillStyle = view.colours.line;
    pen.fillRect(0, Math.round(top + lane.height) - 1, width, 1);
    drawn.lanes++;
  }
  drawn.frames++;
}
