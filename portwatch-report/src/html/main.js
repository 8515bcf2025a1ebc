// What mouse and keys do.

const stage = $('stage'), lanes = $('lanes'), tip = $('tip'), details = $('details'), field = $('search');

let due = 0;
/** Draws before the next frame, however often it is asked for. */
function draw() {
  due ||= requestAnimationFrame(drawNow);
}

function drawNow() {
  due = 0;
  drawLanes();
  drawAxis();
  drawOverview();
  showLabels();
  document.documentElement.dataset.drawn = `${drawn.lanes} ${drawn.marks} ${drawn.holds} ${drawn.links} ${drawn.gaps}`;
}

function show(from, to) {
  const whole = view.most - view.least;
  const length = Math.min(Math.max(to - from, .002), whole);
  const start = Math.min(Math.max(from + (to - from - length) / 2, view.least), view.most - length);
  view.from = start;
  view.to = start + length;
  draw();
}

/** Where keys and buttons zoom: at the attempt that is chosen, if it is in view. */
function middle() {
  const x = view.lane && view.mark !== null ? xOf(view.lane.marks.time[view.mark]) : -1;
  return x >= 0 && x <= view.width ? x : view.width / 2;
}

function zoom(factor, x = middle()) {
  const at = timeOf(x);
  showTip(null);
  show(at - (at - view.from) * factor, at + (view.to - at) * factor);
}

const pan = pixels => { const by = pixels / view.width * (view.to - view.from); show(view.from + by, view.to + by); };
const fit = () => show(view.least, view.most);

function rearrange() {
  arrange();
  $('tall').style.height = `${view.total}px`;
  stage.style.height = `${Math.min(Math.max(view.total, 160), Math.max(innerHeight * .72, 260))}px`;
  // The ruler ends where the lanes do, beside a scroll bar.
  $('ruler').style.paddingRight = `${stage.offsetWidth - stage.clientWidth}px`;
  const empty = $('empty');
  empty.hidden = view.lanes.length > 0;
  if (!empty.hidden) {
    const said = view.query ? ['Nothing found', 'No port, process, cause or address matches. Esc forgets the search.']
      : data.lanes.length ? ['No failures', 'Every attempt in this log got its port. “All ports” shows who has which.']
      : ['Nothing to show', 'There are no attempts in this log, or the filters leave none.'];
    empty.replaceChildren(make('b', {}, said[0]), said[1]);
  }
  view.histogram = null;
  if (view.lane && !view.lanes.includes(view.lane)) select(null, null);
  draw();
}

/* Selection. */

function select(lane, mark) {
  view.lane = lane;
  view.mark = mark;
  if (lane && mark !== null) $('said').textContent = `${placeName(lane)}, ${clock(lane.marks.time[mark])}: ${headline(lane, mark)}, ${lane.marks.failed[mark] ? (text(lane.marks.summary[mark]) || 'failed') : 'got it'}`;
  draw();
}

/** Where the stage is scrolled to for a selection whose tip is shown there already. */
let revealed = null;

/** Brings the selection into view. */
function reveal() {
  const n = view.lanes.indexOf(view.lane);
  if (n < 0) return;
  const top = view.tops[n], bottom = top + view.lane.height, before = stage.scrollTop;
  if (top < stage.scrollTop) stage.scrollTop = top;
  else if (bottom > stage.scrollTop + stage.clientHeight) stage.scrollTop = bottom - stage.clientHeight;
  if (stage.scrollTop !== before) revealed = stage.scrollTop;
  if (view.mark !== null) {
    const time = view.lane.marks.time[view.mark], margin = (view.to - view.from) * .04;
    if (time < view.from + margin || time > view.to - margin) { const half = (view.to - view.from) / 2; show(time - half, time + half); }
  }
  tipAtSelection();
}

function tipAtSelection() {
  if (view.mark === null) return showTip(null);
  const box = lanes.getBoundingClientRect(), n = view.lanes.indexOf(view.lane);
  const y = box.top + view.tops[n] - stage.scrollTop + view.lane.tries + TRY_ROW / 2;
  showTip(markTip(view.lane, view.mark, 1), box.left + xOf(view.lane.marks.time[view.mark]), y);
}

function step(by) {
  const lane = view.lane || view.lanes.find(lane => lane.events.length);
  if (!lane || !lane.events.length) return;
  let at;
  if (view.lane !== lane || view.mark === null) {
    at = lane.events.findIndex(i => lane.marks.failed[i] && lane.marks.time[i] >= view.from);
    if (at < 0) at = by > 0 ? 0 : lane.events.length - 1;
  } else {
    at = lower(lane.events, view.mark) + by;
  }
  at = Math.min(Math.max(at, 0), lane.events.length - 1);
  select(lane, lane.events[at]);
  reveal();
  if (!details.hidden) open();
}

function leap(by) {
  const at = view.lane ? view.lanes.indexOf(view.lane) + by : by > 0 ? 0 : view.lanes.length - 1;
  const lane = view.lanes[Math.min(Math.max(at, 0), view.lanes.length - 1)];
  if (!lane) return;
  const time = view.lane && view.mark !== null ? view.lane.marks.time[view.mark] : view.from;
  // Failures first: the others are there to be compared.
  const failures = lane.events.filter(i => lane.marks.failed[i]);
  const near = (failures.length ? failures : lane.events).reduce((best, i) => best === null || Math.abs(lane.marks.time[i] - time) < Math.abs(lane.marks.time[best] - time) ? i : best, null);
  select(lane, near);
  reveal();
  if (!details.hidden) open();
}

function open() {
  if (view.lane && view.mark !== null) { showTip(null); showDetails(view.lane, view.mark, close, step); }
}

function close() {
  details.hidden = true;
  stage.focus({ preventScroll: true });
}

/* Search. */

function find(query) {
  field.value = query;
  view.query = query.trim();
  const found = search(view.query);
  $('found').textContent = view.query ? `${found.toLocaleString('en')} found` : '';
  showTip(null);
  stage.scrollTop = 0;
  if (view.mark !== null && view.lane.match && !view.lane.match[view.mark]) select(null, null);
  rearrange();
}

function goTo(episode) {
  const margin = Math.max((episode.last - episode.first) * .25, data.to * .005, 50);
  find('');
  show(episode.first - margin, episode.last + margin);
  const lane = data.lanes[episode.lane];
  if (!lane) return;
  const first = lower(lane.marks.time, episode.first - .001);
  select(lane, first < lane.marks.time.length ? first : null);
  reveal();
  stage.scrollIntoView({ block: 'nearest' });
}

let typing = 0;
field.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => find(field.value), 80); });
field.addEventListener('keydown', event => {
  if (event.key === 'Escape') { find(''); stage.focus(); } else if (event.key === 'Enter' || event.key === 'ArrowDown') { clearTimeout(typing); find(field.value); stage.focus(); step(1); } else return;
  event.preventDefault();
});

/* Mouse. */

/** What is at this place of the picture. */
function at(x, y) {
  const high = y + stage.scrollTop;
  const n = lower(view.tops, high + .001) - 1, lane = view.lanes[n];
  if (!lane || high > view.tops[n] + lane.height) return null;
  const inside = high - view.tops[n];
  if (inside >= lane.tries - 2) {
    const { time } = lane.marks;
    const from = lower(time, timeOf(x - 10)), to = lower(time, timeOf(x + 10));
    let best = null, near = 1e9, crowd = 0;
    for (let i = from; i < to; i++) {
      if (lane.match && !lane.match[i]) continue;
      const far = Math.abs(xOf(time[i]) - x) - (lane.marks.failed[i] ? .5 : 0);
      if (Math.floor(xOf(time[i]) / CELL) === Math.floor(x / CELL)) crowd += lane.marks.count[i];
      if (far < near) { near = far; best = i; }
    }
    return { lane, row: null, hold: null, mark: best, crowd, unknown: unknownAt(lane, x) };
  }
  const row = lane.rows.find(row => inside >= row.y - 2 && inside <= row.y + row.height + 2);
  if (!row) return { lane, row: null, hold: null, mark: null, here: 0, unknown: unknownAt(lane, x) };
  const time = timeOf(x), slack = (view.to - view.from) / view.width * 2;
  let hold = null, here = 0;
  for (let n = lower(row.starts, time - row.longest - slack); n < row.of.length && row.starts[n] <= time + slack; n++) {
    if (row.ends[n] < time - slack) continue;
    here += lane.holds.count[row.of[n]];
    hold = row.of[n];
  }
  return { lane, row, hold, mark: null, here, unknown: unknownAt(lane, x) };
}

/** The time at this place, if not everything is known of it. */
function unknownAt(lane, x) {
  const { outside, gaps } = known(lane.host), time = timeOf(x), slack = timeOf(x + 2) - time;
  const gap = gaps.find(gap => gap.from - slack <= time && time <= gap.to + slack);
  const run = outside.find(([from, to]) => from < time && time < to);
  return gap ? { gap } : run ? { from: run[0], to: run[1] } : null;
}

let drag = null;
lanes.addEventListener('pointerdown', event => {
  if (event.button !== 0 || event.pointerType === 'touch') return;
  drag = { x: event.offsetX, from: view.from, to: view.to, moved: false };
  lanes.setPointerCapture(event.pointerId);
  stage.focus({ preventScroll: true });
});
lanes.addEventListener('pointermove', event => {
  if (drag) {
    const by = (drag.x - event.offsetX) / view.width * (drag.to - drag.from);
    drag.moved ||= Math.abs(drag.x - event.offsetX) > 3;
    if (drag.moved) { showTip(null); show(drag.from + by, drag.to + by); }
    return;
  }
  const hit = at(event.offsetX, event.offsetY);
  view.hover = hit;
  const parts = hit && hit.mark !== null ? markTip(hit.lane, hit.mark, hit.crowd) : hit && hit.hold !== null ? holdTip(hit.lane, hit.row, hit.hold, hit.here) : hit && hit.unknown ? unknownTip(hit.unknown) : null;
  showTip(parts, event.clientX, event.clientY);
  draw();
});
lanes.addEventListener('pointerup', event => {
  const still = drag && !drag.moved;
  drag = null;
  if (!still) return;
  const hit = at(event.offsetX, event.offsetY);
  select(hit ? hit.lane : null, hit ? hit.mark : null);
  if (hit && hit.mark !== null) open(); else details.hidden = true;
});
lanes.addEventListener('pointerleave', () => { view.hover = null; showTip(null); draw(); });
lanes.addEventListener('pointercancel', () => { drag = null; });
lanes.addEventListener('dblclick', event => zoom(.4, event.offsetX));
stage.addEventListener('scroll', () => {
  if (stage.scrollTop !== revealed) showTip(null);
  revealed = null;
  draw();
});
stage.addEventListener('wheel', event => {
  if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(Math.exp(event.deltaY * .0022), event.clientX - lanes.getBoundingClientRect().left); } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); pan(event.shiftKey ? event.deltaY || event.deltaX : event.deltaX); }
}, { passive: false });

const overview = $('overview');
function overviewTo(event) {
  const whole = view.most - view.least, half = (view.to - view.from) / 2;
  const time = view.least + event.offsetX / overview.clientWidth * whole;
  if (overview.start === undefined) return;
  const from = view.least + overview.start / overview.clientWidth * whole;
  // A click moves what is in view, a drag chooses it.
  if (Math.abs(event.offsetX - overview.start) > 4) show(Math.min(from, time), Math.max(from, time));
  else if (event.type === 'pointerup') show(time - half, time + half);
}
overview.addEventListener('pointerdown', event => { overview.start = event.offsetX; overview.setPointerCapture(event.pointerId); });
overview.addEventListener('pointermove', overviewTo);
overview.addEventListener('pointerup', event => { overviewTo(event); overview.start = undefined; });
overview.addEventListener('dblclick', fit);

/* Keys. */

function theme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  readColours();
  draw();
}

function quiet() {
  view.quiet = !view.quiet;
  $('quiet').setAttribute('aria-pressed', String(view.quiet));
  rearrange();
}

const KEYS = {
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => leap(-1), ArrowDown: () => leap(1), Enter: open,
  Escape: () => { if (!details.hidden) close(); else if (view.query) find(''); else { select(null, null); showTip(null); } },
  '/': () => field.select(), '+': () => zoom(.6), '=': () => zoom(.6), '-': () => zoom(1 / .6), 0: fit, q: quiet, t: theme, '?': () => $('keys').showModal(),
};
document.addEventListener('keydown', event => {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target === field || $('keys').open) return;
  // A button that has the focus is pressed by Enter, as ever.
  if (event.key === 'Enter' && target.tagName === 'BUTTON') return;
  const act = KEYS[event.key];
  if (act) { event.preventDefault(); act(); }
});
$('theme').addEventListener('click', theme);
$('help').addEventListener('click', () => $('keys').showModal());
$('quiet').addEventListener('click', quiet);
$('in').addEventListener('click', () => zoom(.6));
$('out').addEventListener('click', () => zoom(1 / .6));
$('fit').addEventListener('click', fit);

const night = matchMedia('(prefers-color-scheme: dark)');
const follow = () => { document.documentElement.dataset.theme = night.matches ? 'dark' : 'light'; readColours(); draw(); };
night.addEventListener('change', follow);
addEventListener('resize', rearrange);

/* On paper all lanes are there, as far as a picture can be high, and it is day. */
addEventListener('beforeprint', () => {
  document.documentElement.dataset.theme = 'light';
  readColours();
  stage.style.height = `${Math.min(view.total, 8000)}px`;
  drawNow();
});
addEventListener('afterprint', () => { follow(); rearrange(); });

follow();
showTotals();
showLists(find, goTo);
showLegend();
showNotes();
$('quiet').hidden = data.lanes.every(lane => lane.failures > 0);
if (!data.failures) { view.quiet = true; $('quiet').setAttribute('aria-pressed', 'true'); }
search('');
rearrange();
