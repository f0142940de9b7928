// What each party could and could not read of one record, with the bytes that it holds.

import { byId, el } from "/page/dom.js";
import { doorName } from "/page/door.js";
import { Refused, record } from "/page/server.js";
import { knows, onLanguage, pick, say } from "/page/words.js";

const PARTIES = ["phone", "air", "lock-ram", "lock-flash", "edge", "broker", "platform", "province"];
const PER_LINE = 16;

// Returns bytes as people read them: an offset, and sixteen of them on each line.
function dump(hex) {
    const lines = [];
    for (let at = 0; at < hex.length; at += 2 * PER_LINE) {
        const pairs = hex.slice(at, at + 2 * PER_LINE).match(/../g);
        lines.push(`${(at / 2).toString(16).padStart(4, "0")}  ${pairs.join(" ")}`);
    }
    return lines.join("\n");
}

function elementName(name) {
    if (typeof name === "object") return pick(name);
    return knows(`element.${name}`) ? say(`element.${name}`) : name;
}

// Returns what a value means, and beside it the code that the data has, unless both are the same.
function elementValue(one) {
    const value = pick(one.value);
    const kind = one.name === "kind" && knows(`kind.${value}`);
    const code = kind ? value : one.code;
    const words = kind ? say(`kind.${value}`) : value;
    return code && code !== words ? [words, " ", el("code", {}, code)] : [words];
}

function bytes(party, found) {
    const shown = [el("h3", {}, say("parties.bytes")), el("p", { class: "where" }, pick(found.where))];
    if (!found.bytes) return shown;
    const label = say("parties.bytes-of", { party: say(`party.${party}`), count: found.bytes.length / 2 });
    shown.push(
        el("p", { class: "quiet" }, label),
        el("pre", { tabindex: 0, role: "region", "aria-label": label }, dump(found.bytes)),
    );
    return shown;
}

function list(title, rows, tag, attributes, none) {
    return [
        el("h3", {}, say(title)),
        rows.length ? el(tag, attributes, ...rows) : el("p", { class: "quiet" }, say(none)),
    ];
}

function contents(party, found) {
    if (!found.bytes && !found.reads.length && !found.hidden.length)
        return [el("p", { class: "where" }, pick(found.where))]; // the record never came here, or has not come yet
    const reads = found.reads.map((one) =>
        el("div", {}, el("dt", {}, elementName(one.name)), el("dd", {}, ...elementValue(one))),
    );
    const hidden = found.hidden.map((name) => el("li", {}, elementName(name)));
    const words = [
        ...list("parties.reads", reads, "dl", { class: "reads" }, "parties.nothing"),
        ...list("parties.hidden", hidden, "ul", { class: "hidden-list" }, "parties.all"),
    ];
    return [el("div", {}, ...words), el("div", {}, ...bytes(party, found))];
}

export function startParties(state) {
    const opened = new Set();
    let subject = null; // the door and the counter whose record is shown
    let answer = null; // a promise of what each party could read of it

    function current() {
        const shown = state.shownTap();
        const province = state.stores[state.door]?.province ?? [];
        const counter = shown?.counter ?? (shown ? null : (province.at(-1)?.counter ?? null));
        return counter === null ? null : { door: state.door, counter };
    }

    async function show(box, party) {
        const mine = subject;
        if (!mine) {
            box.replaceChildren(el("p", { class: "quiet" }, say("parties.none")));
            return;
        }
        answer ??= record(mine.door, mine.counter);
        try {
            const found = (await answer).parties.find((one) => one.party === party);
            if (mine !== subject) return; // another record was chosen meanwhile
            box.replaceChildren(
                ...(found ? contents(party, found) : [el("p", { class: "quiet" }, say("parties.nothing"))]),
            );
        } catch (error) {
            if (!(error instanceof Refused)) throw error;
            answer = null;
            const known = `error.${error.code}`;
            box.replaceChildren(
                el(
                    "p",
                    { class: "quiet" },
                    `${error.code}: ${error.text && !knows(known) ? pick(error.text) : say(known)}`,
                ),
            );
        }
    }

    function draw() {
        if (!state.site) return;
        byId("parties-says").textContent = subject
            ? say("parties.of", { ...subject, door: doorName(state, subject.door) })
            : say("parties.none");
        const made = PARTIES.map((party) => {
            const box = el("div", { class: "party-box" });
            const details = el(
                "details",
                { "data-party": party },
                el("summary", {}, el("b", {}, say(`party.${party}`)), el("span", {}, say(`parties.${party}`))),
                box,
            );
            details.open = opened.has(party);
            if (details.open) show(box, party);
            details.addEventListener("toggle", () => {
                if (details.open === opened.has(party)) return;
                if (details.open) opened.add(party);
                else opened.delete(party);
                if (details.open) show(box, party);
            });
            return details;
        });
        const focused = document.activeElement?.closest?.("#party-list details")?.dataset.party;
        byId("party-list").replaceChildren(...made);
        if (focused) byId("party-list").querySelector(`[data-party="${focused}"] summary`).focus();
    }

    // The same record may be readable by more parties as it goes on, so a moment of it makes the answer old.
    function renew(always) {
        const next = current();
        const same = next?.door === subject?.door && next?.counter === subject?.counter;
        if (same && !always) return;
        subject = next;
        answer = null;
        draw();
    }

    const reached = () =>
        state
            .shownTap()
            ?.moments.map((moment) => moment.id)
            .join();
    let known = "";
    state.on(["site"], () => renew(true));
    state.on(["tap", "shown", "door", "stores"], () => {
        const now = reached();
        renew(now !== known);
        known = now;
    });
    onLanguage(draw);
}
