// The buttons: who comes to the door, and what goes wrong. The server says when an act began, and how it ended.

import { byId, el, icon, whole } from "/page/dom.js";
import { Refused, act } from "/page/server.js";
import { knows, onLanguage, pick, say } from "/page/words.js";

const TAPS = ["tap", "tap-pin", "stranger", "tampered", "tear"];
const SWITCHES = ["network", "tag", "open-door"];

let told = () => ""; // a function, so that the sentence changes its language with the page

export function tell(sentence) {
    told = sentence;
    byId("said").textContent = told();
}

// Sends an act. What the server refuses is said, with its code.
export async function send(state, action, facts) {
    if (state.busy(facts.door ?? action)) {
        tell(() => say("busy"));
        return;
    }
    try {
        await act(action, facts);
    } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const known = `error.${error.code}`;
        tell(() => `${error.code}: ${error.text && !knows(known) ? pick(error.text) : say(known)}`);
    }
}

// Returns how a tap ended, in words.
export function outcome(tap) {
    if (!tap.outcome) return say("outcome.under-way");
    const opened = tap.moments.find((moment) => moment.id === "opened");
    if (opened) return say("outcome.opened-after", { ms: whole(opened.at - tap.began) });
    return tap.code ? say("outcome.refused-with", { code: tap.code }) : say(`outcome.${tap.outcome}`);
}

function drawPeople(state) {
    const here = state.site.people.filter(
        (one) => one.doors.includes(state.door) && ["guest", "child"].includes(one.kind),
    );
    const button = (action, person, symbol) =>
        el(
            "button",
            {
                type: "button",
                "data-act": action,
                "data-person": person.id,
                "aria-label": say(`act.${action}-of`, { name: person.name }),
                click: () => send(state, action, { door: state.door, person: person.id }),
            },
            icon(symbol),
            say(`act.${action}`),
        );
    const rows = here.map((person) =>
        el(
            "li",
            {},
            el("span", { class: "who" }, person.name, el("small", {}, documentWords(person))),
            button("tap", person, "phone"),
            button("tear", person, "tear"),
        ),
    );
    byId("people").replaceChildren(...(rows.length ? rows : [el("li", { class: "quiet" }, say("act.nobody"))]));
}

function documentWords(person) {
    const words = [pick(person.document)];
    if (person.kind === "child") words.push(say("kind.child"));
    return words.filter(Boolean).join(say("kind.and"));
}

function pressed(state) {
    const board = state.boards[state.door];
    return { network: !state.network, tag: Boolean(board?.tag), "open-door": Boolean(board?.contact) };
}

function drawState(state) {
    const on = pressed(state);
    for (const each of document.querySelectorAll("[data-switch]"))
        each.setAttribute("aria-pressed", String(on[each.dataset.switch]));
    for (const each of byId("acts").querySelectorAll("button")) {
        const place = each.dataset.switch === "network" ? "network" : state.door;
        each.setAttribute("aria-disabled", String(!state.connected || state.busy(place)));
    }
}

function draw(state) {
    if (!state.site) return;
    const kept = document.activeElement?.closest("#people button");
    drawPeople(state);
    drawState(state);
    if (kept)
        byId("people")
            .querySelector(`[data-act="${kept.dataset.act}"][data-person="${CSS.escape(kept.dataset.person)}"]`)
            ?.focus();
    byId("said").textContent = told();
}

// A switch does one thing or its opposite, and its button does not say which. The server does.
function actWords(done) {
    if (!SWITCHES.includes(done.action)) return say(`act.${done.action}`);
    const text = pick(done.text);
    return text.charAt(0).toUpperCase() + text.slice(1);
}

function onAct(state, done) {
    const values = () => ({ act: actWords(done), code: done.code });
    if (done.action !== "story" || done.state === "failed") {
        // How a tap ended is said with the tap itself.
        if (done.state !== "done" || done.door === null || !TAPS.includes(done.action))
            tell(() => say(`act.is.${done.state}`, values()));
    }
    drawState(state);
}

export function startActs(state) {
    for (const each of document.querySelectorAll("#acts .buttons [data-act]"))
        each.addEventListener("click", () => send(state, each.dataset.act, { door: state.door }));
    const facts = {
        network: (on) => ({ up: on }),
        tag: (on) => ({ door: state.door, on: !on }),
        "open-door": (on) => ({ door: state.door, on: !on }),
    };
    for (const each of document.querySelectorAll("[data-switch]"))
        each.addEventListener("click", () =>
            send(state, each.dataset.switch, facts[each.dataset.switch](pressed(state)[each.dataset.switch])),
        );
    const watched = new Set(); // taps that were seen under way: their outcome is said, and that of older ones is not
    state.on(["tap"], (tap) => {
        if (!tap.outcome) watched.add(tap.tap);
        else if (watched.delete(tap.tap))
            tell(() => say("outcome.of", { door: tap.door, name: pick(tap.who), outcome: outcome(tap) }));
    });
    state.on(["site"], () => {
        watched.clear();
        draw(state);
    });
    state.on(["act"], (done) => onAct(state, done));
    state.on(["door"], () => draw(state));
    state.on(["board", "network", "story", "connection"], () => drawState(state));
    onLanguage(() => draw(state));
}
