// Tooltips and details: who, since when, why, what helps, and how it ended.

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

/** The blocker, and since when. */
function inTheWay(lane, i) {
  const { marks, holds } = lane;
  if (marks.kind[i] > 3) return '';
  const hold = ways(lane).hold[i], name = who(marks.blocker[i], true);
  const words = `${ONE[marks.kind[i]]}${name ? ' of ' + name : ''}`;
  if (hold < 0) return words;
  const start = holds.start[hold], before = lasting(start, marks.time[i]);
  return `${words}, ${marks.kind[i] === 0 ? 'listening' : 'there'} ${since(lane, hold)}${before > 0 && holds.begun[hold] ? ` (${span(before)})` : ''}`;
}

/** When a hold began, as far as that is known. */
function since(lane, i) {
  const { begun, start } = lane.holds, words = moment(start[i]);
  if (begun[i]) return `since ${words}`;
  return known(lane.host).runs.some(run => run[1] === start[i]) ? `since before ${words}` : `from an unknown time on, first seen ${words}`;
}

const FREED = { exited: ['when', 'ended'], closed: ['when the socket of', 'was closed'] };

/** How the episode of a failure ended. */
function ending(episode) {
  const parts = [`${counted(episode.attempts, 'attempt', 'attempts')} in ${span(episode.ms)}`, { bound: 'then it got it', gave_up: 'it gave up', open: 'not over when tracing ended', unknown: 'its end is not in the log' }[episode.outcome]];
  if (episode.freed) {
    const [how, time, owner] = episode.freed, words = FREED[how], name = who(owner);
    const freed = how === 'time_wait_over' ? 'when the TIME_WAIT was over' : words ? name ? `${words[0]} ${name} ${words[1]}` : how === 'exited' ? 'when its process ended' : 'when the socket was closed' : '';
    if (freed) parts.push(`freed ${freed}, ${moment(time)}`);
  }
  return parts.join(', ');
}

const time = words => make('p', { class: 'time' }, words);

function markTip(lane, i, crowd) {
  const { marks } = lane;
  const parts = [make('b', {}, headline(lane, i)), time(`${moment(marks.time[i])}  ${target(lane, i)}`)];
  if (!marks.failed[i]) parts.push(make('p', {}, `${OPS[marks.op[i]]}: ok`));
  else {
    parts.push(make('p', {}, `${OPS[marks.op[i]]}: ${text(marks.result[i]) || 'failed'}  `, make('span', { class: 'cause' }, marks.cause[i] < data.causes.length ? causeOf(marks.cause[i]) : '')));
    if (text(marks.summary[i])) parts.push(make('p', {}, text(marks.summary[i])));
    const way = inTheWay(lane, i), episode = episodeOf(lane, i), [remedy] = text(marks.remedies[i]).split('\n');
    if (way) parts.push(make('p', { class: 'way' }, make('i', { 'aria-hidden': 'true' }), `Blocked by: ${way}`));
    if (text(marks.because[i])) parts.push(time(`Because ${text(marks.because[i])}`));
    if (remedy) parts.push(make('p', { class: 'remedy' }, remedy));
    if (episode) parts.push(time(`In the end: ${ending(episode)}`));
  }
  if (crowd > 1) parts.push(time(`and ${crowd - 1} more here; zoom in to tell them apart`));
  return parts;
}

const ENDS = ['', 'still there when the log ends', 'its end was not seen; its timer was due then', 'not seen any more after tracing was interrupted'];

function holdTip(lane, row, i, here) {
  const { holds } = lane, one = holds.count[i] === 1;
  const name = who(holds.who[i], true) || (one ? 'an unknown process' : 'several processes');
  const what = one ? ONE[holds.kind[i]].replace(/^the /, '') : `${holds.count[i]} ${holds.kind[i] === 2 ? 'connections' : holds.kind[i] === 3 ? 'TIME_WAITs' : 'sockets'}`;
  const parts = [make('b', {}, name), make('p', {}, `${what} ${text(holds.local[i])}${text(holds.remote[i]) ? ' from ' + text(holds.remote[i]) : ''}`)];
  const length = span(lasting(holds.start[i], holds.end[i]));
  parts.push(make('p', { class: 'time' }, `${since(lane, i)}, ${holds.begun[i] ? length : length + ' seen'}`));
  if (doubtful(lane, i) < holds.end[i]) parts.push(time('records were lost meanwhile: it may have ended earlier'));
  if (ENDS[holds.ended[i]]) parts.push(make('p', { class: 'time' }, ENDS[holds.ended[i]]));
  const { blocked } = ways(lane);
  if (blocked[i]) parts.push(make('p', { class: 'cause' }, `blocked ${counted(blocked[i], 'attempt', 'attempts')}`));
  if (here > 1) parts.push(make('p', { class: 'time' }, `${here} at this moment`));
  return parts;
}

/** Of a time that nothing is known about, or not everything. */
function unknownTip({ gap, from, to }) {
  if (gap) return [make('b', {}, 'Records lost'), make('p', {}, lostWords(gap)), time(`between ${moment(gap.from)} and ${moment(gap.to)}: what happened then may be missing here`)];
  const parts = [Number.isFinite(from) ? `after ${moment(from)}` : '', Number.isFinite(to) ? `before ${moment(to)}` : ''].filter(part => part);
  return [make('b', {}, 'Not traced'), time(`${parts.join(', ')}: nothing is known`)];
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
    ...(text(marks.summary[i]) ? section('Why', make('p', {}, text(marks.summary[i])), text(marks.because[i]) ? time('Because ' + text(marks.because[i])) : '') : []),
    ...(lines.length ? section('What helps', make('ul', {}, ...lines.map(line => make('li', {}, line)))) : []),
    ...(inTheWay(lane, i) ? section('Blocked by', make('p', {}, inTheWay(lane, i)), marks.blocker[i] ? processFacts(marks.blocker[i]) : '') : []),
    ...(episodeOf(lane, i) ? section('How it ended', make('p', {}, ending(episodeOf(lane, i)))) : []),
    ...(marks.who[i] ? section('Who tried', processFacts(marks.who[i])) : []),
    make('div', { class: 'steps' }, make('button', { type: 'button', click: () => step(-1) }, '← Previous'), make('button', { type: 'button', click: () => step(1) }, 'Next →')));
  box.hidden = false;
  box.scrollTop = 0;
}
