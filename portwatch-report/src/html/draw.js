// The picture. Everything that is in view is drawn again; what is closer together than can be seen is drawn as one.

const STACK = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
const COLOURS = ['page', 'card', 'ink', 'soft', 'faint', 'line', 'accent', 'k0', 'k1', 'k2', 'k3', 'k3dark', 'idle', 'fail', 'ok', 'void', 'on0', 'onidle', 'onfail'];
const xOf = time => (time - view.from) / (view.to - view.from) * view.width;
const timeOf = x => view.from + x / view.width * (view.to - view.from);
const drawn = { marks: 0, holds: 0, lanes: 0, gaps: 0, links: 0 };

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
  pen.textBaseline = 'middle';
  return [pen, width, height];
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of COLOURS) view.colours[name] = style.getPropertyValue('--' + name).trim();
  view.hatches = {};
}

/** Stripes, so that things are told apart without their colours. */
function hatch(pen, name, ground, stroke, size, thick) {
  if (view.hatches[name]) return view.hatches[name];
  const ratio = window.devicePixelRatio || 1, tile = document.createElement('canvas'), side = size * ratio;
  tile.width = tile.height = side;
  const ink = tile.getContext('2d');
  if (ground) { ink.fillStyle = ground; ink.fillRect(0, 0, side, side); }
  ink.strokeStyle = stroke;
  ink.lineWidth = thick * ratio;
  for (const shift of [-side, 0, side]) {
    ink.beginPath(); ink.moveTo(shift, side); ink.lineTo(shift + side, 0); ink.stroke();
  }
  const pattern = pen.createPattern(tile, 'repeat');
  pattern.setTransform(new DOMMatrix([1 / ratio, 0, 0, 1 / ratio, 0, 0]));
  return view.hatches[name] = pattern;
}
const timeWait = pen => hatch(pen, 'timeWait', view.colours.k3, view.colours.k3dark, 6, 1.6);
const missing = pen => hatch(pen, 'missing', '', view.colours.soft, 7, 1.3);

function drawAxis() {
  const [pen, width, height] = prepare($('axis'));
  pen.font = `11px ${STACK}`;
  pen.strokeStyle = view.colours.line;
  let free = 0;
  for (const [time, words] of ticks(view.from, view.to, width)) {
    const x = Math.round(xOf(time)) + .5, wide = pen.measureText(words).width;
    pen.beginPath(); pen.moveTo(x, height - 6); pen.lineTo(x, height); pen.stroke();
    const left = Math.min(Math.max(x - wide / 2, 4), width - wide - 4);
    if (left < free) continue;
    free = left + wide + 12;
    pen.fillStyle = view.colours.soft;
    pen.fillText(words, left, height / 2 - 2);
  }
}

/** Failures over the whole time, and which part of it is in view. */
function drawOverview() {
  const [pen, width, height] = prepare($('overview'));
  const whole = view.most - view.least, cells = Math.max(Math.floor(width / 3), 1);
  const place = time => (Math.min(Math.max(time, view.least), view.most) - view.least) / whole * width;
  for (const host of several ? [] : new Set(data.lanes.map(lane => lane.host))) drawUnknown(pen, known(host), place, 0, height, width);
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
    const tall = 4 + Math.sqrt(count / most) * (height - 14);
    pen.fillRect(cell * width / cells + .5, height - tall, Math.max(width / cells - 1, 1), tall);
  });
  const left = place(view.from), right = place(view.to);
  if (right - left >= width - 1) return;
  pen.fillStyle = view.colours.page;
  pen.globalAlpha = .72;
  pen.fillRect(0, 0, left, height);
  pen.fillRect(right, 0, width - right, height);
  pen.globalAlpha = 1;
  pen.strokeStyle = view.colours.accent;
  pen.lineWidth = 1.5;
  pen.beginPath(); pen.roundRect(left + .75, 1, Math.max(right - left - 1.5, 3), height - 2, 4); pen.stroke();
}

/** Times without knowledge: grey where nothing was traced, hatched where records were lost. */
function drawUnknown(pen, { outside, gaps }, place, top, height, width, words) {
  const within = (from, to) => { const left = Math.max(place(from), -2), right = Math.min(place(to), width + 2); return right < 0 || left > width ? null : [left, right]; };
  pen.font = `11px ${STACK}`;
  for (const [from, to] of outside) {
    const box = within(Math.max(from, view.least), Math.min(to, view.most));
    if (!box) continue;
    pen.fillStyle = view.colours.void;
    pen.fillRect(box[0], top, Math.max(box[1] - box[0], 1), height);
    pen.fillStyle = view.colours.faint;
    for (const edge of [from, to]) if (Number.isFinite(edge)) pen.fillRect(Math.round(place(edge)) - .5, top, 1, height);
    drawn.gaps++;
  }
  for (const gap of gaps) {
    const box = within(gap.from, gap.to);
    if (!box) continue;
    const left = box[0], right = Math.max(box[1], left + 3);
    pen.fillStyle = view.colours.card;
    pen.globalAlpha = .6;
    pen.fillRect(left, top, right - left, height);
    pen.globalAlpha = .5;
    pen.fillStyle = missing(pen);
    pen.fillRect(left, top, right - left, height);
    pen.globalAlpha = 1;
    if (words) label(pen, box, 'records lost', top + height / 2);
    drawn.gaps++;
  }
}

/** Words in a box, on a ground of their own, if there is room. */
function label(pen, [left, right], words, y) {
  const wide = pen.measureText(words).width, middle = (Math.max(left, 0) + Math.min(right, view.width)) / 2;
  if (Math.min(right, view.width) - Math.max(left, 0) < wide + 20) return;
  pen.fillStyle = view.colours.card;
  pen.beginPath(); pen.roundRect(middle - wide / 2 - 7, y - 9, wide + 14, 18, 9); pen.fill();
  pen.fillStyle = view.colours.soft;
  pen.fillText(words, middle - wide / 2, y + .5);
}

function drawLanes() {
  const [pen, width, height] = prepare($('lanes'));
  view.width = width;
  view.height = height;
  for (const name in drawn) drawn[name] = 0;
  const scroll = $('stage').scrollTop;
  pen.fillStyle = view.colours.line;
  pen.globalAlpha = .7;
  for (const [time] of ticks(view.from, view.to, width)) pen.fillRect(Math.round(xOf(time)), 0, 1, Math.min(height, view.total - scroll));
  pen.globalAlpha = 1;
  const first = Math.max(lower(view.tops, scroll + .5) - 1, 0);
  for (let n = first; n < view.lanes.length && view.tops[n] < scroll + height; n++) {
    const lane = view.lanes[n], top = view.tops[n] - scroll;
    if (lane === view.lane) { pen.fillStyle = view.colours.accent; pen.globalAlpha = .06; pen.fillRect(0, top, width, lane.height); pen.globalAlpha = 1; }
    const { outside, gaps } = known(lane.host);
    drawUnknown(pen, { outside, gaps: [] }, xOf, top, lane.height, width);
    for (const row of lane.rows) row.kinds[0] === 0 ? drawBars(pen, lane, row, top) : drawCrowd(pen, lane, row, top);
    drawUnknown(pen, { outside: [], gaps }, xOf, top, lane.height, width, true);
    for (const [from, to] of outside) label(pen, [xOf(Math.max(from, view.least)), xOf(Math.min(to, view.most))], 'not traced', top + lane.height / 2);
    if (lane.thinned) { pen.font = `11px ${STACK}`; label(pen, [0, width], 'too many ports: of this one only the totals were kept', top + lane.height / 2); }
    drawTries(pen, lane, top);
    pen.fillStyle = view.colours.line;
    pen.fillRect(0, Math.round(top + lane.height) - 1, width, 1);
    drawn.lanes++;
  }
}
