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
    const drawn = svg("svg", {
        class: `staff${sounding ? " sounds" : ""}`,
        viewBox: "0 0 40 36",
        "aria-hidden": "true",
    });
    for (let line = 0; line < 5; line += 1) drawn.append(svg("path", { d: `M2 ${6 + line * LINE_GAP}h36` }));
    if (hertz) {
        const y = 30 - Math.log2(hertz / LOWEST_HZ) * LINE_GAP;
        drawn.append(
            svg("ellipse", { cx: 20, cy: y, rx: 4.6, ry: 3.4, transform: `rotate(-18 20 ${y})` }),
            svg("path", { class: "stem", d: y > 15 ? `M24 ${y - 1}v-14` : `M16 ${y + 1}v14` }),
        );
    }
    return drawn;
}

// Returns what people call a door. Its id is for engineers.
export function doorName(state, id) {
    return pick(state.site.doors.find((door) => door.id === id)?.name ?? id);
}

// Returns colour and sign of the lamp. Nobody knows the lamp of a door from which nothing is heard.
function light(board) {
    if (!board) return { shown: "off", sign: "unknown" };
    return board.power ? { shown: colour(board), sign: board.pattern ?? "idle" } : { shown: "off", sign: "idle" };
}

// A small lamp with its sign. It tells apart without colour, beside the words.
export function lamp(board) {
    const { shown, sign } = light(board);
    return svg(
        "svg",
        { class: "lamp", "data-colour": shown, viewBox: "0 0 44 44", "aria-hidden": "true" },
        svg("circle", { class: "lens", cx: 22, cy: 22, r: 20 }),
        svg("use", { class: "glyph", href: `#g-${sign}`, x: 6, y: 6, width: 32, height: 32 }),
    );
}

// Returns a rhythm in the firmware's marks as words: "-..__" is "1 long, 2 short".
function rhythmWords(rhythm) {
    if (rhythm === "=") return say("rhythm.steady");
    const runs = rhythm.match(/\.+|-+/g) ?? [];
    return runs
        .map((run) => say(run[0] === "-" ? "rhythm.long" : "rhythm.short", { count: run.length }))
        .join(say("rhythm.and"));
}

// Returns what the lamp says. While it blinks, the words stay those of the signal.
export function lampWords(board, signals) {
    if (!board) return say("unknown");
    if (!board.power) return say("lamp.no-power");
    const signal = signals[board.pattern];
    if (!signal) return say(`colour.${colour(board)}`);
    const rhythm = rhythmWords(signal.rhythm);
    return say(rhythm ? "lamp.signal" : "lamp.rest", {
        colour: say(`colour.${rhythm ? colour(signal) : colour(board)}`),
        rhythm,
        signal: say(`signal.${board.pattern}`),
    });
}

// Draws a rhythm: a dot for each short beat, a bar for each long one, and a line for a light that stays on.
function beats(rhythm) {
    const drawn = svg("svg", { class: "beats", viewBox: "0 0 72 10", "aria-hidden": "true" });
    let x = 2;
    for (const mark of rhythm) {
        const length = { ".": 6, "-": 18, "=": 68 }[mark];
        if (length) drawn.append(svg("rect", { x, y: 2, width: length, height: 6, rx: 3 }));
        x += (length ?? 0) + 5;
    }
    return drawn;
}

function toneWords(board) {
    if (!board) return say("unknown");
    if (board.tone) return say("tone.sounds", { hertz: board.tone, note: note(board.tone) });
    const last = heard[board.door];
    return last?.hertz
        ? say("tone.heard", { hertz: last.hertz, note: note(last.hertz), times: last.times })
        : say("tone.none");
}

function drawTabs(state) {
    const tabs = state.site.doors.map((door) => {
        const board = state.board(door.id);
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
                title: door.id,
                click: () => state.showDoor(door.id),
            },
            lamp(board),
            el("span", {}, doorName(state, door.id)),
            el("span", { class: "unseen" }, `, ${lampWords(board, state.site.signals)}`),
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
    byId("door-place").textContent = say("door.place", {
        listing: door.listing,
        room: pick(door.room),
        lock: door.lock.slice(0, 16),
    });
    const board = state.board(door.id);
    const { shown, sign } = light(board);
    const scene = byId("scene");
    Object.assign(scene.dataset, {
        power: board ? (board.power ? "on" : "off") : "unknown",
        colour: shown,
        strike: board ? (board.strike ? "open" : "shut") : "unknown",
        contact: board ? (board.contact ? "open" : "closed") : "unknown",
        tone: board?.tone ? "on" : "off",
        tag: board?.tag ? "on" : "off",
        phone: state.phoneHere() ? "here" : "away",
    });
    byId("glyph").setAttribute("href", `#g-${sign}`);
    const rhythm = board?.power ? (state.site.signals[board.pattern]?.rhythm ?? "") : "";
    const said = lampWords(board, state.site.signals);
    byId("lamp").replaceChildren(lamp(board), el("span", {}, said, beats(rhythm)));
    const hertz = board ? board.tone || heard[door.id]?.hertz || 0 : 0;
    byId("tone").replaceChildren(staff(hertz, Boolean(board?.tone)), el("span", {}, toneWords(board)));
    const known = (key) => (board ? say(key) : say("unknown"));
    const strike = known(board?.strike ? "strike.open" : "strike.shut");
    const contact = known(board?.contact ? "contact.open" : "contact.closed");
    byId("strike").textContent = strike;
    byId("contact").textContent = contact;
    byId("scene-says").textContent = say("door.says", { door: doorName(state, door.id), lamp: said, strike, contact });
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
    state.on(["site", "board", "tap", "door", "connection"], () => drawDoor(state));
    byId("doors").addEventListener("keydown", (event) => chooseByKey(state, event));
    onLanguage(() => drawDoor(state));
}
