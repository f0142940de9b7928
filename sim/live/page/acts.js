// The buttons: who comes to the door, and what goes wrong. The server says when an act began, and how it ended.

import { clock } from "/page/clock.js";
import { byId, el, icon, whole } from "/page/dom.js";
import { doorName } from "/page/door.js";
import { Refused, act } from "/page/server.js";
import { knows, onLanguage, pick, say } from "/page/words.js";

const TAPS = ["tap", "tap-pin", "stranger", "tampered", "tear"];
const SWITCHES = ["network", "tag", "open-door"];

let told = () => ""; // a function, so that the sentence changes its language with the page

export function tell(sentence) {
    told = sentence;
    byId("said").textContent = told();
}

// Shows whether a button works now. A button that does not work can still be reached, and says why.
export function enable(button, why) {
    button.setAttribute("aria-disabled", String(why !== null));
    button.dataset.why = why ?? "";
    if (why === null) button.removeAttribute("title");
    else button.title = say(why);
}

// Sends an act. What the server refuses is said, with its code.
export async function send(state, action, facts) {
    const why = state.why(action);
    if (why !== null) {
        tell(() => (why.startsWith("error.") ? `${why.slice(6)}: ${say(why)}` : say(why)));
        return;
    }
    try {
        await act(action, facts);
    } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.code === "live.token") state.token(false);
        const known = `error.${error.code}`;
        tell(() => `${error.code}: ${error.text && !knows(known) ? pick(error.text) : say(known)}`);
    }
}

// Returns who came to the door. Somebody whom the page invented for a purpose is named by it.
export function visitor(state, tap) {
    const kind = state.person(tap.person)?.kind;
    const name = pick(tap.who);
    return knows(`visitor.${kind}`) ? say(`visitor.${kind}`, { name }) : name;
}

// Returns how a tap ended, in words.
export function outcome(tap) {
    if (!tap.outcome) return say("outcome.under-way");
    const opened = tap.moments.find((moment) => moment.id === "opened");
    if (opened) return say("outcome.opened-after", { ms: whole(opened.at - tap.began) });
    if (!tap.code) return say(`outcome.${tap.outcome}`);
    return say("outcome.refused-with", { reason: pick(tap.reason), code: tap.code });
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
    for (const each of byId("acts").querySelectorAll("button"))
        enable(each, state.why(each.dataset.act ?? each.dataset.switch));
    const going = [...state.acts.values()].find((act) => [state.door, null].includes(act.door) && act.action !== "story");
    byId("said-clock").replaceChildren(...(going?.since && state.connected ? [clock(going.since)] : []));
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
            tell(() =>
                say("outcome.of", {
                    door: doorName(state, tap.door),
                    name: visitor(state, tap),
                    outcome: outcome(tap),
                }),
            );
    });
    state.on(["site"], () => {
        watched.clear();
        draw(state);
    });
    state.on(["act"], (done) => onAct(state, done));
    state.on(["door"], () => draw(state));
    state.on(["board", "network", "story", "connection", "tap"], () => drawState(state));
    onLanguage(() => draw(state));
}
