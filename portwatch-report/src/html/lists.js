// Totals, lists and the labels of lanes. Names are only ever set as text.

/** An element with text or children. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === 'class') element.className = value;
    else if (name === 'click') element.addEventListener('click', value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined && child !== ''));
  return element;
}

function showTotals() {
  const ports = data.lanes.filter(lane => lane.failures > 0).length, runs = data.sessions.length;
  const longest = data.longest[0];
  const tile = (number, words, bad) => make('div', { class: bad ? 'tile bad' : 'tile' }, make('b', {}, number), make('span', {}, words));
  // Times of several hosts lie beside each other, those of one host follow each other.
  const traced = several || data.hosts.length > 1 || !runs ? span(lasting(0, data.to)) : span(data.sessions.reduce((sum, [, from, to]) => sum + lasting(from, to), 0));
  $('tiles').replaceChildren(
    tile(data.failures.toLocaleString('en'), `of ${counted(data.attempts, 'attempt', 'attempts')} failed`, data.failures > 0),
    tile(ports.toLocaleString('en'), ports === 1 ? 'address in trouble' : 'addresses in trouble'),
    tile(data.episodes.toLocaleString('en'), data.episodes === 1 ? 'episode of retries' : 'episodes of retries'),
    tile(longest ? span(longest.ms) : '0 s', 'blocked at the longest'),
    tile(traced, `traced${runs > 1 ? `, in ${runs} runs` : ''}`));
  const hosts = data.hosts.length ? data.hosts.join(', ') : 'unknown host';
  $('when').textContent = `${several || data.hosts.length > 1 ? hosts + ', ' : ''}${day(0)} ${clock(0, 0)} to ${sameDay ? '' : day(data.to) + ' '}${clock(data.to, 0)}, ${counted(data.records, 'record', 'records')}`;
  const zone = Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts(date(0)).find(part => part.type === 'timeZoneName');
  $('zone').textContent = zone ? zone.value : '';
}

/** The first rows, and a button for the rest. */
function fill(id, rows, none, first = 5) {
  const box = $(id);
  if (!rows.length) return box.replaceChildren(make('p', {}, none));
  const more = make('button', { type: 'button', class: 'more', click: () => { more.remove(); box.append(...rows.slice(first)); rows[first].focus(); } }, `${(rows.length - first).toLocaleString('en')} more`);
  box.replaceChildren(...rows.slice(0, first), rows.length > first ? more : '');
}

const side = (kind, comm, home) => make('span', { class: `side ${kind}` }, make('i', { 'aria-hidden': 'true' }), make('b', {}, text(comm) || 'a process without a name'), make('small', {}, text(home)));

/** A blocker, and whose attempts it made fail. */
function pair(blocker, find) {
  const ports = blocker.ports.length ? `port${blocker.ports.length > 1 ? 's' : ''} ${blocker.ports.slice(0, 5).join(', ')}${blocker.more || blocker.ports.length > 5 ? ' and more' : ''}` : '';
  const whom = blocker.whom.slice(0, 3).map(([comm, home]) => side('tried', comm, home));
  if (blocker.whom.length > 3) whom.push(make('small', {}, 'and others'));
  const count = blocker.failures.toLocaleString('en');
  return make('button', { type: 'button', class: 'pair', click: () => find(text(blocker.comm)) },
    side('holder', blocker.comm, blocker.home),
    make('span', { class: 'arrow' }, make('span', { class: 'unseen' }, ' blocked '), make('b', {}, count), make('span', { class: 'unseen' }, ' attempts of ')),
    make('span', { class: 'whom' }, ...whom),
    make('span', { class: 'sub' }, [ports, blocker.ms ? `blocked others for ${span(blocker.ms)}` : ''].filter(part => part).join(', ')));
}

function row(name, number, sub, share, click) {
  const meter = share === null ? '' : make('meter', { min: 0, max: 1, value: share, 'aria-hidden': 'true' });
  return make('button', { type: 'button', click }, make('span', { class: 'name' }, name), make('span', { class: 'num' }, number), sub ? make('span', { class: 'sub' }, sub) : '', meter);
}

const ENDED = { bound: 'got it', gave_up: 'gave up', open: 'not over', unknown: 'end not seen' };

function showLists(find, goTo) {
  fill('pairs', data.blockers.filter(blocker => blocker.failures).map(blocker => pair(blocker, find)), 'No blocker was seen.', 4);
  fill('episodes', data.longest.slice(0, 200).map(episode => {
    const by = episode.by.map(([cause, owner]) => who(owner) || causeOf(cause)).filter((name, i, all) => name !== all[i - 1]).slice(0, 4).join(', then ');
    const sub = `${episode.place}, ${counted(episode.attempts, 'attempt', 'attempts')}, ${ENDED[episode.outcome]}${by ? '; by ' + by : ''}`;
    return row(who(episode.who, true) || 'a process', span(episode.ms), sub, null, () => goTo(episode));
  }), 'No episodes in this log.', 4);
  const most = data.by_cause.length ? data.by_cause[0][1] : 1;
  fill('causes', data.by_cause.map(([cause, count]) => row(causeOf(cause), count.toLocaleString('en'), '', count / most, () => find(data.causes[cause] || ''))), 'No attempt failed.', 5);
}

/** Labels of the lanes in view; each element is used again. */
function showLabels() {
  const scroll = $('stage').scrollTop, box = $('labels');
  const first = Math.max(lower(view.tops, scroll + .5) - 1, 0);
  const shown = new Set();
  for (let n = first; n < view.lanes.length && view.tops[n] < scroll + view.height; n++) {
    const lane = view.lanes[n];
    lane.label ||= laneLabel(lane);
    shown.add(lane.label);
    lane.label.style.top = `${view.tops[n] - scroll}px`;
    lane.label.classList.toggle('current', lane === view.lane);
    if (lane.label.parentNode !== box) box.append(lane.label);
  }
  for (const element of [...box.children]) if (!shown.has(element)) element.remove();
}

function laneLabel(lane) {
  const unix = lane.proto === 'unix', letters = Array.from(portName(lane));
  // Of a path the end tells most.
  const short = unix && letters.length > 16 ? '…' + letters.slice(-15).join('') : letters.join('');
  const port = make('div', { class: 'port' }, make('span', {}, short), make('small', {}, lane.proto));
  const why = make('div', { class: 'why' });
  if (lane.failures) why.append(make('b', {}, `${lane.failures.toLocaleString('en')} failed`));
  else why.append('no failures');
  const where = [several ? text(lane.host) : '', spaces && lane.netns ? `netns ${lane.netns}` : ''].filter(part => part).join(', ');
  const sub = make('div', { class: 'why' }, lane.failures ? causeOf(lane.cause) : where);
  const element = make('div', { class: unix ? 'lane unix' : 'lane', title: placeName(lane), 'data-port': unix ? '' : lane.port }, port, why, sub);
  element.style.height = `${lane.height}px`;
  const name = (words, y) => { const em = make('em', {}, words); em.style.top = `${y}px`; element.append(em); };
  for (const row of lane.rows) name(row.name, row.y + row.height / 2);
  name('attempts', lane.tries + TRY_ROW / 2);
  return element;
}

/** What there is in this log to be told apart. */
function showLegend() {
  const kinds = new Set(data.lanes.flatMap(lane => lane.rows.flatMap(row => row.kinds[0] === 0 ? [...new Set(lane.holds.kind.filter(kind => kind < 2))] : row.kinds)));
  const there = { bound: kinds.has(1), connections: kinds.has(2), timewait: kinds.has(3), lost: data.gaps.length > 0, untraced: data.sessions.length > 0 };
  for (const [name, is] of Object.entries(there)) $(`legend-${name}`).hidden = !is;
}

const LOST = { attempt: ['attempt', 'attempts'], process: ['process', 'processes'], port: ['record of a port', 'records of ports'], entry: ['address of a call', 'addresses of calls'], output: ['record that could not be written', 'records that could not be written'] };
const lostWords = ({ kind, count }) => LOST[kind] ? counted(count, ...LOST[kind]) : `${count.toLocaleString('en')} of kind ${kind}`;

function showNotes() {
  const notes = [];
  if (data.grain) notes.push(`This log has more events than can be drawn: what lies within ${span(data.grain)} of each other is drawn as one.`);
  if (data.more_lanes) notes.push(`${counted(data.more_lanes, 'more port is', 'more ports are')} not on this page.`);
  const thinned = data.lanes.filter(lane => lane.thinned).length;
  if (thinned) notes.push(`Of ${counted(thinned, 'port', 'ports')} there are totals only.`);
  if (data.unreadable) notes.push(`${counted(data.unreadable, 'line', 'lines')} of the log could not be read.`);
  for (const [, kind, from, to, count] of data.gaps.slice(0, 5)) notes.push(`Lost: ${lostWords({ kind: text(kind), count })}, between ${moment(from)} and ${moment(to)}.`);
  if (data.gaps.length > 5) notes.push(`And ${data.gaps.length - 5} more gaps.`);
  $('notes').textContent = notes.join(' ');
}
