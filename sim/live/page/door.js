// The chosen door as a guest perceives it: lamp, tone, strike and contact, in a drawing and in words.

import { byId, el, svg } from "/page/dom.js";
import { onLanguage, pick, say } from "/page/words.js";

const COLOURS = ["off", "blue", "green", "cyan", "red", "magenta", "amber", "white"];
const LOWEST_HZ = 110; // the lowest line of the drawn staff; each line above is one octave higher
const LINE_GAP = 6;
const REST = ["idle", "obstructed"];
const NOTES = ["A", "A♯", "B", "C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯"];

const heard = {}; // for each door: the last tone, and how often it sounded in this signal

export const colour = (board) => COLOURS[board.lamp[0] * 4 + board.lamp[1] * 2 + board.lamp[2]];

// Returns the name of a tone as musicians write it: 440 Hz is A4.
export function note(hertz) {
  const steps = Math.round(12 * Math.log2(hertz / 440)) + 57; // half tones above C0
  return NOTES[(steps + 3) % 12] + Math.floor(steps / 12);
}

function listen(board, before) {
  const mine = (heard[board.door] ??= { hertz: 0, times: 0, pattern: null });
  if (board.pattern !== mine.pattern && !REST.includes(board.pattern ?? "")) {
    Object.assign(mine, { hertz: 0, times: 0, pattern: board.pattern });
  }
  if (board.tone && board.tone !== (before?.tone ?? 0)) {
    mine.times = board.tone === mine.hertz ? mine.times + 1 : 1;
    mine.hertz = board.tone;
  }
}

function staff(hertz, sounding) {
  const drawn = svg("svg", { class: `staff${sounding ? " sounds" : ""}`, viewBox: "0 0 56 36", "aria-hidden": "true" });
  for (let line = 0; line < 5; line += 1) drawn.append(svg("path", { d: `M2 ${6 + line * LINE_GAP}h52` }));
  if (hertz) {
    const y = 30 - Math.log2(hertz / LOWEST_HZ) * LINE_GAP;
    drawn.append(
      svg("ellipse", { cx: 28, cy: y, rx: 4.6, ry: 3.4, transform: `rotate(-18 28 ${y})` }),
      svg("path", { class: "stem", d: y > 15 ? `M32 ${y - 1}v-14` : `M24 ${y + 1}v14` }),
    );
  }
  return drawn;
}

// A small lamp with its sign. It tells apart without colour, beside the words.
export function lamp(board) {
  const shown = board.power ? colour(board) : "off";
  const pattern = board.power ? (board.pattern ?? "idle") : "idle";
  return svg(
    "svg",
    { class: "lamp", "data-colour": shown, viewBox: "0 0 44 44", "aria-hidden": "true" },
    svg("circle", { class: "lens", cx: 22, cy: 22, r: 20 }),
    svg("use", { class: "glyph", href: `#g-${pattern}`, x: 6, y: 6, width: 32, height: 32 }),
  );
}

export function lampWords(board) {
  if (!board.power) return say("lamp.no-power");
  const words = say(`colour.${colour(board)}`);
  return board.pattern ? say("lamp.signal", { colour: words, signal: say(`signal.${board.pattern}`) }) : words;
}

function toneWords(board) {
  if (board.tone) return say("tone.sounds", { hertz: board.tone, note: note(board.tone) });
  const last = heard[board.door];
  return last?.hertz ? say("tone.heard", { hertz: last.hertz, note: note(last.hertz), times: last.times }) : say("tone.none");
}

function drawTabs(state) {
  const tabs = state.site.doors.map((door) => {
    const board = state.boards[door.id];
    const chosen = door.id === state.door;
    return el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `tab-${door.id}`,
        "data-door": door.id,
        "aria-selected": String(chosen),
        "aria-controls": "door-panel",
        tabindex: chosen ? 0 : -1,
        click: () => state.showDoor(door.id),
      },
      board ? lamp(board) : null,
      el("span", {}, door.id),
      board ? el("span", { class: "unseen" }, `, ${lampWords(board)}`) : null,
    );
  });
  const bar = byId("doors");
  const focused = bar.contains(document.activeElement);
  bar.replaceChildren(...tabs);
  if (focused) bar.querySelector('[aria-selected="true"]').focus();
  byId("door-panel").setAttribute("aria-labelledby", `tab-${state.door}`);
}

function drawDoor(state) {
  const door = state.site?.doors.find((each) => each.id === state.door);
  if (!door) return;
  drawTabs(state);
  byId("door-place").textContent = say("door.place", { listing: door.listing, room: pick(door.room), lock: door.lock.slice(0, 16) });
  const board = state.boards[door.id];
  if (!board) return;
  const tap = state.tapsHere().at(-1);
  const scene = byId("scene");
  scene.dataset.power = board.power ? "on" : "off";
  scene.dataset.colour = board.power ? colour(board) : "off";
  scene.dataset.strike = board.strike ? "open" : "shut";
  scene.dataset.contact = board.contact ? "open" : "closed";
  scene.dataset.tone = board.tone ? "on" : "off";
  scene.dataset.tag = board.tag ? "on" : "off";
  scene.dataset.phone = tap && !tap.outcome && tap.moments.some((moment) => moment.id === "phone.tap") ? "here" : "away";
  byId("glyph").setAttribute("href", `#g-${board.power ? (board.pattern ?? "idle") : "idle"}`);
  byId("lamp").replaceChildren(lamp(board), el("span", {}, lampWords(board)));
  const hertz = board.tone || heard[door.id]?.hertz || 0;
  byId("tone").replaceChildren(staff(hertz, board.tone > 0), el("span", {}, toneWords(board)));
  const strike = say(board.strike ? "strike.open" : "strike.shut");
  const contact = say(board.contact ? "contact.open" : "contact.closed");
  byId("strike").textContent = strike;
  byId("contact").textContent = contact;
  byId("scene-says").textContent = say("door.says", { door: door.id, lamp: lampWords(board), strike, contact });
}

function chooseByKey(state, event) {
  const ids = state.site.doors.map((door) => door.id);
  const at = ids.indexOf(state.door);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  state.showDoor(ids[(to + ids.length) % ids.length]);
}

export function startDoor(state) {
  const before = {};
  state.on(["board"], (board) => {
    listen(board, before[board.door]);
    before[board.door] = board;
  });
  state.on(["site"], () => {
    for (const kept of [heard, before]) Object.keys(kept).forEach((door) => delete kept[door]);
  });
  state.on(["site", "board", "tap", "door"], () => drawDoor(state));
  byId("doors").addEventListener("keydown", (event) => chooseByKey(state, event));
  onLanguage(() => drawDoor(state));
}
