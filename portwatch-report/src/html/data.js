// The data, unpacked: names, and per lane columns with what is drawn of them.

const KINDS = ['listening', 'bound', 'connections', 'TIME_WAIT'];
const ONE = ['the listening socket', 'the bound socket', 'the connection', 'the TIME_WAIT'];
const OPS = ['bind()', 'listen()', 'listen() without bind()'];

const text = index => data.strings[index] || '';
const causeOf = index => data.causes[index] || 'no verdict';

/** A process's name and what it belongs to, without a pid. */
const named = (comm, home) => [text(comm) || 'a process without a name', text(home)].filter(part => part).join(' ');

function who(index, long) {
  const [pid, comm, , , unit, container] = data.actors[index];
  if (!index) return '';
  const name = text(comm) ? `${text(comm)}[${pid}]` : `pid ${pid}`;
  const home = text(container) || text(unit);
  return long && home ? `${name} ${home}` : name;
}

const several = new Set(data.lanes.map(lane => lane.host)).size > 1;
const spaces = new Set(data.lanes.map(lane => lane.netns).filter(netns => netns)).size > 1;

/** What was known when, of a host: times of tracing, times outside of them, and gaps within them. */
function known(host) {
  known.hosts ||= new Map();
  if (!known.hosts.has(host)) {
    const runs = data.sessions.filter(run => run[0] === host).sort((a, b) => a[1] - b[1]);
    const outside = [];
    let end = -Infinity;
    for (const [, from, to] of runs) { if (from > end) outside.push([end, from]); end = Math.max(end, to); }
    if (runs.length) outside.push([end, Infinity]);
    known.hosts.set(host, { runs, outside, gaps: data.gaps.filter(gap => gap[0] === host).map(([, kind, from, to, count]) => ({ kind: text(kind), from, to, count })) });
  }
  return known.hosts.get(host);
}

/** The port as people call it. */
function portName(lane) {
  if (lane.proto === 'unix') return text(lane.path) || 'a socket';
  return lane.port ? String(lane.port) : 'any port';
}

function placeName(lane) {
  let name = lane.proto === 'unix' ? portName(lane) : `${lane.proto} ${portName(lane)}`;
  if (several) name += ` on ${text(lane.host)}`;
  if (spaces && lane.netns) name += `, netns ${lane.netns}`;
  return name;
}

/** The most of these at one time. */
function mostAtOnce(starts, ends, weights) {
  const order = Array.from(starts.keys()).sort((a, b) => ends[a] - ends[b]);
  let most = 0, now = 0, next = 0;
  for (let i = 0; i < starts.length; i++) {
    while (next < order.length && ends[order[next]] <= starts[i]) now -= weights[order[next++]];
    now += weights[i];
    most = Math.max(most, now);
  }
  return Math.max(most, 1);
}

const LISTEN_ROW = 20, CROWD_ROW = 18, TRY_ROW = 24, PAD = 10, GAP = 4;

/** Rows of a lane from top to bottom; only what there is gets one. */
function layOut(lane) {
  const { kind, start, end, busy, count } = lane.holds;
  lane.rows = [];
  let y = PAD;
  const add = (name, kinds, height) => {
    const of = [];
    for (let i = 0; i < kind.length; i++) if (kinds.includes(kind[i])) of.push(i);
    if (!of.length) return;
    const row = { name, kinds, y, height, of };
    row.starts = Float64Array.from(of, i => start[i]);
    row.ends = Float64Array.from(of, i => end[i]);
    row.weights = Float64Array.from(of, i => count[i] > 1 ? Math.max(busy[i] / Math.max(lasting(start[i], end[i]), 1e-3), .2) : 1);
    row.longest = row.starts.reduce((most, from, i) => Math.max(most, row.ends[i] - from), 0);
    row.most = mostAtOnce(row.starts, row.ends, row.weights);
    lane.rows.push(row);
    y += height + GAP;
  };
  add('held', [0, 1], LISTEN_ROW);
  add('connections', [2], CROWD_ROW);
  add('TIME_WAIT', [3], CROWD_ROW);
  lane.tries = y;
  lane.height = Math.max(y + TRY_ROW + PAD - 2, 76);
  if (!lane.rows.length) lane.tries = (lane.height - TRY_ROW) / 2;
  lane.episodes = [];
  lane.all = [];
  for (let i = 0; i < lane.marks.time.length; i++) lane.all.push(i);
  lane.events = lane.all;
  return lane;
}

data.lanes.forEach(layOut);
for (const episode of data.longest) if (data.lanes[episode.lane]) data.lanes[episode.lane].episodes.push(episode);

/** Of each failure the hold that it ran into, of each hold how many did, and spells: failures in a row that ran into the same. */
function ways(lane) {
  if (lane.ways) return lane.ways;
  const { marks, holds } = lane, of = new Map();
  const key = (kind, who) => kind * 2 ** 32 + who;
  holds.start.forEach((_, i) => { const name = key(holds.kind[i], holds.who[i]); of.has(name) ? of.get(name).push(i) : of.set(name, [i]); });
  const found = { hold: new Int32Array(marks.time.length).fill(-1), blocked: new Uint32Array(holds.start.length), spells: [] };
  let spell = null;
  for (let m = 0; m < marks.time.length; m++) {
    const kind = marks.kind[m], time = marks.time[m];
    if (!marks.failed[m] || kind > 3) { spell = null; continue; }
    const list = of.get(key(kind, marks.blocker[m])) || [], there = [];
    // Of several sockets of the same process nothing tells which one it was. More than the latest are not looked through.
    const after = lower(list, 0, i => holds.start[i] > time);
    for (let n = after - 1; n >= 0 && n >= after - 64; n--) if (holds.end[list[n]] >= time) there.push(list[n]);
    const hold = there.length === 1 ? there[0] : -1;
    found.hold[m] = hold;
    if (hold >= 0) found.blocked[hold] += marks.count[m];
    if (!spell || spell.kind !== kind || spell.who !== marks.blocker[m] || spell.hold !== hold && kind < 2) found.spells.push(spell = { kind, who: marks.blocker[m], hold, first: time, last: time, count: 0 });
    spell.last = Math.max(spell.last, marks.last[m]);
    spell.count += marks.count[m];
  }
  found.firsts = Float64Array.from(found.spells, spell => spell.first);
  found.longest = found.spells.reduce((most, spell) => Math.max(most, spell.last - spell.first), 0);
  return lane.ways = found;
}

/** The episode that a failure is part of, if it is known. */
function episodeOf(lane, m) {
  const { marks } = lane, time = marks.time[m];
  if (!marks.failed[m] || !marks.who[m]) return null;
  const comm = data.actors[marks.who[m]][1];
  const there = lane.episodes.filter(episode => episode.first - .001 <= time && time <= episode.last + .001 && episode.addr === marks.addr[m] && data.actors[episode.who][1] === comm);
  return there.length === 1 ? there[0] : null;
}

/** What the picture shows at the moment. */
const view = {
  from: 0, to: data.to, query: '', quiet: false, lanes: [], tops: [], total: 0,
  lane: null, mark: null, hover: null, colours: {}, width: 0, height: 0,
};
{
  const margin = Math.max(data.to * .015, .5);
  view.least = -margin;
  view.most = data.to + margin;
  view.from = view.least;
  view.to = view.most;
}

/** First index whose value is not less; or the first that `is` true of, as of all that follow. */
function lower(values, value, is) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is ? !is(values[middle]) : values[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
}

/** Lanes and attempts that a search finds; every word must be found. */
function search(query) {
  const words = query.toLowerCase().split(/\s+/).filter(word => word);
  const tests = words.map(word => {
    // A number is looked for as a whole: 80 is not in 8080.
    const whole = /^\d+$/.test(word) ? new RegExp(`(?<!\\d)${word}(?!\\d)`) : null;
    const strings = data.strings.map(string => whole ? whole.test(string) : string.toLowerCase().includes(word));
    const causes = data.causes.map(cause => cause.includes(word));
    const pid = whole ? Number(word) : -1;
    const actors = data.actors.map((actor, index) => index > 0 && (actor[0] === pid || !whole && who(index).toLowerCase().includes(word) || actor.slice(1).some(string => strings[string])));
    const kinds = KINDS.map(kind => kind.toLowerCase().includes(word));
    return { word, strings, causes, actors, kinds };
  });
  let found = 0;
  for (const lane of data.lanes) {
    const { marks, holds } = lane;
    lane.match = null;
    lane.events = lane.all;
    if (!words.length) continue;
    const name = placeName(lane).toLowerCase();
    const port = String(lane.port);
    const rest = tests.filter(test => !(/^\d+$/.test(test.word) && lane.port ? port === test.word : name.includes(test.word)));
    const match = Uint8Array.from(lane.all, i => rest.every(test =>
      test.actors[marks.who[i]] || test.actors[marks.blocker[i]] || test.causes[marks.cause[i]] || test.strings[marks.addr[i]] ||
      test.strings[marks.result[i]] || test.strings[marks.summary[i]] || test.kinds[marks.kind[i]]) ? 1 : 0);
    lane.match = match;
    lane.events = lane.all.filter(i => match[i]);
    lane.held = rest.length === 0 || holds.who.some((_, i) => rest.every(test =>
      test.actors[holds.who[i]] || test.strings[holds.local[i]] || test.strings[holds.remote[i]] || test.kinds[holds.kind[i]]));
    for (const i of lane.events) found += marks.count[i];
  }
  return found;
}

/** Chooses the lanes that are shown, and where. */
function arrange() {
  const wanted = lane => lane.failures > 0 || view.quiet || view.query;
  view.lanes = data.lanes.filter(lane => wanted(lane) && (!lane.match || lane.events.length || lane.held));
  let top = 0;
  view.tops = view.lanes.map(lane => { const here = top; top += lane.height; return here; });
  view.total = top;
}
