// Times and lengths of time, in the reader's own zone.

const pad = (number, digits = 2) => String(Math.trunc(number)).padStart(digits, '0');
const date = ms => new Date(data.t0 + toReal(ms));
const zoneMs = ms => date(ms).getTimezoneOffset() * 60000;

function clock(ms, digits = 3) {
  const at = date(ms);
  const fine = digits ? '.' + pad(at.getMilliseconds(), 3) : '';
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}${fine}`;
}

const day = ms => { const at = date(ms); return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`; };
const sameDay = day(0) === day(data.to);
const moment = ms => sameDay ? clock(ms) : `${day(ms)} ${clock(ms)}`;

/** In its two largest units, rounded down. */
function span(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 1000) return `${Math.floor(ms)} ms`;
  if (ms < 10000) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const two = (large, name, small, sub) => {
    const rest = Math.floor(seconds % large / small);
    return `${Math.floor(seconds / large)} ${name}` + (rest ? ` ${rest} ${sub}` : '');
  };
  if (seconds < 3600) return two(60, 'm', 1, 's');
  if (seconds < 86400) return two(3600, 'h', 60, 'm');
  return two(86400, 'd', 3600, 'h');
}

const counted = (count, one, many) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;

const STEPS = [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200, 500,
  1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5, 2592e6];

/** Moments that are worth a line, and their words; none where nothing was traced for long. */
function ticks(from, to, width) {
  const least = (to - from) * 96 / Math.max(width, 1);
  const step = STEPS.find(step => step >= least) || STEPS[STEPS.length - 1];
  const rows = [];
  let start = from;
  for (const { at, short } of [...breaks, { at: Infinity, short: 0 }]) {
    const end = Math.min(at, to), real = toReal(start);
    const shift = (data.t0 - zoneMs(start)) % step;
    for (let time = Math.ceil((real + shift) / step) * step - shift; toDrawn(time) <= end && rows.length < 400; time += step) rows.push([toDrawn(time), tickWords(time, step)]);
    start = Math.max(at + short, from);
    if (start >= to) break;
  }
  return rows;
}

function tickWords(real, step) {
  const at = toDrawn(real), inDay = date(at);
  const midnight = inDay.getHours() + inDay.getMinutes() + inDay.getSeconds() + inDay.getMilliseconds() === 0;
  if (step >= 864e5 || midnight) return day(at);
  if (step >= 6e4) return clock(at, 0).slice(0, 5);
  const words = clock(at, step < 1000 ? 3 : 0);
  return step < 1 ? words + pad(Math.round((real - Math.floor(real)) * 1000), 3) : words;
}
