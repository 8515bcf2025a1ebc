// Everything that is not drawn: totals, labels, tooltips and details. Names are only ever set as text.

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
  const ports = data.lanes.filter(lane => lane.failures > 0).length;
  const longest = data.stories[0];
  const tile = (number, words, bad) => make('div', { class: bad ? 'tile bad' : 'tile' }, make('b', {}, number), make('span', {}, words));
  $('tiles').replaceChildren(
    tile(data.failures.toLocaleString('en'), `of ${counted(data.attempts, 'attempt', 'attempts')} failed`, data.failures > 0),
    tile(ports.toLocaleString('en'), ports === 1 ? 'port in trouble' : 'ports in trouble'),
    tile(data.episodes.toLocaleString('en'), data.episodes === 1 ? 'episode of retries' : 'episodes of retries'),
    tile(longest ? span(longest.ms) : '0 s', 'blocked at the longest'),
    tile(span(data.to), `watched, ${counted(data.records, 'record', 'records')}`));
  const hosts = data.hosts.length ? data.hosts.join(', ') : 'unknown host';
  $('when').textContent = `${several || data.hosts.length > 1 ? hosts + ', ' : ''}${day(0)} ${clock(0, 0)} to ${sameDay ? '' : day(data.to) + ' '}${clock(data.to, 0)}`;
  const zone = Intl.DateTimeFormat('en', { timeZoneName: 'short' }).formatToParts(date(0)).find(part => part.type === 'timeZoneName');
  $('zone').textContent = zone ? zone.value : '';
}

function row(name, number, sub, share, click) {
  const meter = share === null ? '' : make('meter', { min: 0, max: 1, value: share, 'aria-hidden': 'true' });
  return make('button', { type: 'button', click }, make('span', { class: 'name' }, name), make('span', { class: 'num' }, number), sub ? make('span', { class: 'sub' }, sub) : '', meter);
}

function fill(id, rows, none) {
  $(id).replaceChildren(...(rows.length ? rows : [make('p', {}, none)]));
}

function showLists(find, goTo) {
  const most = data.by_cause.length ? data.by_cause[0][1] : 1;
  fill('causes', data.by_cause.map(([cause, count]) => row(causeOf(cause), count.toLocaleString('en'), '', count / most, () => find(data.causes[cause] || ''))), 'No attempt failed.');
  const worst = Math.max(1, ...data.blockers.map(blocker => blocker.failures));
  fill('blockers', data.blockers.filter(blocker => blocker.failures).map(blocker => {
    const ports = blocker.ports.length ? `port${blocker.ports.length > 1 ? 's' : ''} ${blocker.ports.join(', ')}${blocker.more ? ' and more' : ''}` : '';
    const sub = [ports, blocker.ms ? `${span(blocker.ms)} in the way` : ''].filter(part => part).join(', ');
    return row(blocker.name, blocker.failures.toLocaleString('en'), sub, blocker.failures / worst, () => find(text(blocker.comm)));
  }), 'Nobody was seen to be in the way.');
  const ends = { bound: 'got it', gave_up: 'gave up', open: 'not over', unknown: 'not over' };
  fill('stories', data.stories.slice(0, 100).map(story => {
    const by = story.by.map(([cause, owner]) => who(owner) || causeOf(cause)).filter((name, i, all) => name !== all[i - 1]).join(', then ');
    const sub = `${story.place}, ${counted(story.attempts, 'attempt', 'attempts')}, ${ends[story.outcome]}${by ? '; by ' + by : ''}`;
    return row(who(story.who, true) || 'a process', span(story.ms), sub, null, () => goTo(story));
  }), 'No episodes in this log.');
}

/** Labels of the lanes in view; each element is used again. */
function showLabels() {
  const scroll = $('stage').scrollTop, box = $('labels');
  const first = Math.max(lower(view.tops, scroll + .5) - 1, 0);
  const shown = new Set();
  for (let n = first; n < view.lanes.length && view.tops[n] < scroll + view.height; n++) {
    const lane = view.lanes[n];
    lane.label ||= label(lane);
    shown.add(lane.label);
    lane.label.style.top = `${view.tops[n] - scroll}px`;
    lane.label.classList.toggle('current', lane === view.lane);
    if (lane.label.parentNode !== box) box.append(lane.label);
  }
  for (const element of [...box.children]) if (!shown.has(element)) element.remove();
}

function label(lane) {
  const unix = lane.proto === 'unix';
  const port = make('div', { class: 'port' }, make('span', {}, portName(lane)), make('small', {}, lane.proto));
  const why = make('div', { class: 'why' });
  if (lane.failures) why.append(make('b', {}, `${lane.failures.toLocaleString('en')} failed`));
  else why.append('no failures');
  const where = [several ? text(lane.host) : '', spaces && lane.netns ? `netns ${lane.netns}` : ''].filter(part => part).join(', ');
  const sub = make('div', { class: 'why' }, lane.failures ? causeOf(lane.cause) : where);
  const element = make('div', { class: 'lane', title: placeName(lane), 'data-port': unix ? '' : lane.port }, port, why, sub);
  element.style.height = `${lane.height}px`;
  const name = (words, y) => { const em = make('em', {}, words); em.style.top = `${y}px`; element.append(em); };
  for (const row of lane.rows) name(row.name, row.y + row.height / 2);
  name('attempts', lane.tries + TRY_ROW / 2);
  return element;
}

/** What a failed or a successful attempt is called. */
function headline(lane, i) {
  const { marks } = lane;
  const name = who(marks.who[i], true) || 'several processes';
  return marks.count[i] > 1 ? `${marks.count[i]} attempts, ${name}` : name;
}

function target(lane, i) {
  const addr = text(lane.marks.addr[i]);
  if (lane.proto === 'unix') return `unix ${addr || portName(lane)}`;
  return addr ? `${lane.proto} ${addr.includes(':') ? `[${addr}]` : addr}:${lane.port}` : placeName(lane);
}

function markTip(lane, i, crowd) {
  const { marks } = lane;
  const parts = [make('b', {}, headline(lane, i)), make('p', { class: 'time' }, `${moment(marks.time[i])}  ${target(lane, i)}`)];
  if (marks.failed[i]) {
    parts.push(make('p', {}, `${OPS[marks.op[i]]}: ${text(marks.result[i]) || 'failed'}  `, make('span', { class: 'cause' }, marks.cause[i] < data.causes.length ? causeOf(marks.cause[i]) : '')));
    if (text(marks.summary[i])) parts.push(make('p', {}, text(marks.summary[i])));
    else if (marks.blocker[i]) parts.push(make('p', {}, `${ONE[marks.kind[i]]} of ${who(marks.blocker[i], true)} was in the way`));
  } else parts.push(make('p', {}, `${OPS[marks.op[i]]}: ok`));
  if (crowd > 1) parts.push(make('p', { class: 'time' }, `and ${crowd - 1} more here; zoom in to tell them apart`));
  return parts;
}

const ENDS = ['', 'still there when the log ends', 'its end was not seen; its timer was due then', 'not seen any more after tracing was interrupted'];

function holdTip(lane, row, i, here) {
  const { holds } = lane, one = holds.count[i] === 1;
  const name = who(holds.who[i], true) || (one ? 'an unknown process' : 'several processes');
  const what = one ? ONE[holds.kind[i]].replace(/^the /, '') : `${holds.count[i]} ${holds.kind[i] === 2 ? 'connections' : holds.kind[i] === 3 ? 'TIME_WAITs' : 'sockets'}`;
  const parts = [make('b', {}, name), make('p', {}, `${what} ${text(holds.local[i])}${text(holds.remote[i]) ? ' from ' + text(holds.remote[i]) : ''}`)];
  const length = span(holds.end[i] - holds.start[i]);
  parts.push(make('p', { class: 'time' }, `${holds.begun[i] ? 'from' : 'since before'} ${moment(holds.start[i])}, ${holds.begun[i] ? length : length + ' seen'}`));
  if (ENDS[holds.ended[i]]) parts.push(make('p', { class: 'time' }, ENDS[holds.ended[i]]));
  if (here > 1) parts.push(make('p', { class: 'time' }, `${here} at this moment`));
  return parts;
}

function showTip(parts, x, y) {
  const tip = $('tip');
  tip.hidden = !parts;
  if (!parts) return;
  tip.replaceChildren(...parts);
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(Math.min(x + 14, innerWidth - width - 8), 8)}px`;
  tip.style.top = `${y + 18 + height > innerHeight - 8 ? Math.max(y - height - 12, 8) : y + 18}px`;
}

function facts(pairs) {
  const list = make('dl');
  for (const [name, value] of pairs) if (value) list.append(make('dt', {}, name), make('dd', {}, value));
  return list;
}

function processFacts(index) {
  const [pid, comm, exe, user, unit, container, host] = data.actors[index];
  return facts([['name', text(comm)], ['pid', pid ? String(pid) : ''], ['program', text(exe)], ['user', text(user)], ['unit', text(unit)], ['container', text(container)], ['host', several ? text(host) : '']]);
}

function showDetails(lane, i, close, step) {
  const { marks } = lane, box = $('details'), failed = marks.failed[i];
  const section = (title, ...content) => [make('h3', {}, title), ...content];
  const lines = text(marks.remedies[i]).split('\n').filter(line => line);
  box.replaceChildren(
    make('button', { class: 'close', type: 'button', 'aria-label': 'Close', click: close }, '✕'),
    make('h2', {}, headline(lane, i)),
    make('span', { class: failed ? 'chip' : 'chip ok' }, failed ? `${text(marks.result[i]) || 'failed'}${marks.cause[i] < data.causes.length ? ', ' + causeOf(marks.cause[i]) : ''}` : 'got it'),
    ...section('The attempt', facts([['when', `${day(marks.time[i])} ${clock(marks.time[i])}`], ['until', marks.count[i] > 1 ? `${moment(marks.last[i])}, ${marks.count[i]} times` : ''], ['call', OPS[marks.op[i]]], ['address', target(lane, i)], ['netns', spaces && lane.netns ? String(lane.netns) : '']])),
    ...(text(marks.summary[i]) ? section('Why', make('p', {}, text(marks.summary[i])), text(marks.because[i]) ? make('p', { class: 'time' }, text(marks.because[i])) : '') : []),
    ...(lines.length ? section('What helps', make('ul', {}, ...lines.map(line => make('li', {}, line)))) : []),
    ...(marks.blocker[i] ? section(`In the way: ${ONE[marks.kind[i]].replace(/^the /, '')}`, processFacts(marks.blocker[i])) : []),
    ...(marks.who[i] ? section('Who tried', processFacts(marks.who[i])) : []),
    make('div', { class: 'steps' }, make('button', { type: 'button', click: () => step(-1) }, '← Previous'), make('button', { type: 'button', click: () => step(1) }, 'Next →')));
  box.hidden = false;
  box.scrollTop = 0;
}

function showNotes() {
  const notes = [];
  if (data.grain) notes.push(`This log has more events than can be drawn: what lies within ${span(data.grain)} of each other is drawn as one.`);
  if (data.more_lanes) notes.push(`${counted(data.more_lanes, 'more port is', 'more ports are')} not on this page.`);
  const thinned = data.lanes.filter(lane => lane.thinned).length;
  if (thinned) notes.push(`Of ${counted(thinned, 'port', 'ports')} there are totals only.`);
  if (data.unreadable) notes.push(`${counted(data.unreadable, 'line', 'lines')} of the log could not be read.`);
  for (const [kind, from, to, count] of data.gaps.slice(0, 5)) notes.push(`Missing: ${count} of kind ${text(kind)}, between ${moment(from)} and ${moment(to)}.`);
  if (data.gaps.length > 5) notes.push(`And ${data.gaps.length - 5} more gaps.`);
  $('notes').textContent = notes.join(' ');
}
