// The data, unpacked: names, and per lane columns with what is drawn of them.

const $ = id => document.getElementById(id);
const data = JSON.parse($('data').textContent);
const KINDS = ['listening', 'bound', 'connections', 'TIME_WAIT'];
const ONE = ['the listening socket', 'the bound socket', 'the connection', 'the TIME_WAIT'];
const OPS = ['bind()', 'listen()', 'listen() without bind()'];

const text = index => data.strings[index] || '';
const causeOf = index => data.causes[index] || 'no verdict';

function who(index, long) {
  const [pid, comm, , , unit, container] = data.actors[index];
  if (!index) return '';
  const name = text(comm) ? `${text(comm)}[${pid}]` : `pid ${pid}`;
  const home = text(container) || text(unit);
  return long && home ? `${name} ${home}` : name;
}

const several = new Set(data.lanes.map(lane => lane.host)).size > 1;
const spaces = new Set(data.lanes.map(lane => lane.netns).filter(netns => netns)).size > 1;

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
    row.weights = Float64Array.from(of, i => count[i] > 1 ? Math.max(busy[i] / Math.max(end[i] - start[i], 1e-3), .2) : 1);
    row.longest = row.starts.reduce((most, from, i) => Math.max(most, row.ends[i] - from), 0);
    row.most = mostAtOnce(row.starts, row.ends, row.weights);
    lane.rows.push(row);
    y += height + GAP;
  };
  add('held', [0, 1], LISTEN_ROW);
  add('connections', [2], CROWD_ROW);
  add('TIME_WAIT', [3], CROWD_ROW);
  lane.tries = y;
  lane.height = Math.max(y + TRY_ROW + PAD - 2, 56);
  lane.all = [];
  for (let i = 0; i < lane.marks.time.length; i++) lane.all.push(i);
  lane.events = lane.all;
  return lane;
}

data.lanes.forEach(layOut);

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

/** First index whose value is not less. */
function lower(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1; else high = middle;
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
