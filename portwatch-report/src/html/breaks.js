// Long times in which nothing was traced are drawn short: below, all times are drawn ones, and only words tell real ones.

const $ = id => document.getElementById(id);
const data = JSON.parse($('data').textContent);

const breaks = [];
{
  const runs = data.sessions.map(([, from, to]) => [from, to]).sort((a, b) => a[0] - b[0]), pauses = [];
  let end = runs.length ? runs[0][1] : 0, traced = end - (runs.length ? runs[0][0] : 0);
  for (const [from, to] of runs) {
    if (from > end) pauses.push([end, from]);
    traced += Math.max(to - Math.max(from, end), 0);
    end = Math.max(end, to);
  }
  const short = Math.max(traced * .08, 1);
  let saved = 0;
  for (const [from, to] of pauses) {
    if (to - from <= short * 1.5) continue;
    breaks.push({ from, to, at: from - saved, short, saved });
    saved += to - from - short;
  }
}

function toDrawn(ms) {
  let saved = 0;
  for (const { from, to, at, short } of breaks) {
    if (ms <= from) break;
    if (ms < to) return at + (ms - from) / (to - from) * short;
    saved += to - from - short;
  }
  return ms - saved;
}

/** To the microsecond, as the log has it. */
function toReal(drawn) {
  let ms = drawn;
  for (const { from, to, at, short } of breaks) {
    if (drawn <= at) break;
    if (drawn < at + short) { ms = from + (drawn - at) / short * (to - from); break; }
    ms += to - from - short;
  }
  return Math.round(ms * 1000) / 1000;
}

if (breaks.length) {
  const turn = list => { for (let i = 0; i < list.length; i++) list[i] = toDrawn(list[i]); };
  for (const { holds, marks } of data.lanes) [holds.start, holds.end, marks.time, marks.last].forEach(turn);
  for (const run of data.sessions) { run[1] = toDrawn(run[1]); run[2] = toDrawn(run[2]); }
  for (const gap of data.gaps) { gap[2] = toDrawn(gap[2]); gap[3] = toDrawn(gap[3]); }
  for (const episode of data.longest) { episode.first = toDrawn(episode.first); episode.last = toDrawn(episode.last); if (episode.freed) episode.freed[1] = toDrawn(episode.freed[1]); }
  data.to = toDrawn(data.to);
}

/** How long it really was. */
const lasting = (from, to) => toReal(to) - toReal(from);
