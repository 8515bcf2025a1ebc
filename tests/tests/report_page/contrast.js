// Words whose colour is too near to that of what is behind them.
const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = colour => {
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = colour;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data];
};
const light = colour => {
  const [r, g, b] = colour.map(value => value / 255).map(value => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const ratio = (a, b) => {
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
  return (high + .05) / (low + .05);
};
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = rgba(getComputedStyle(at).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
};
const named = name => rgba(getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let looked = 0;
while (walker.nextNode()) {
  const words = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
  if (!words || !element.getClientRects().length || element.closest('script, style, .unseen')) continue;
  looked++;
  const is = ratio(rgba(getComputedStyle(element).color), behind(element));
  if (is < 4.5) found.push(`${words}: ${is.toFixed(2)}`);
}
// What the picture writes on what.
for (const [ink, ground] of [['on0', 'k0'], ['onidle', 'idle'], ['ink', 'k1'], ['onfail', 'fail'], ['soft', 'card'], ['faint', 'card']]) {
  const is = ratio(named(ink), named(ground));
  if (is < 4.5) found.push(`${ink} on ${ground}: ${is.toFixed(2)}`);
}
if (looked < 50) found.push(`only ${looked} words`);
return found;
