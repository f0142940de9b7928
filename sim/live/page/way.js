// The way of a record: phone, lock, edge agent, broker, province. The envelope stands at the last place that is
// known from the timeline, and the line up to this place stays drawn. Nothing moves by itself, so no drawing is ahead of what is known.

import { outcome, visitor } from "/page/acts.js";
import { byId, el, icon, whole } from "/page/dom.js";
import { knows, onLanguage, pick, say } from "/page/words.js";

const STATIONS = ["phone", "lock", "edge", "broker", "province"];
const UP = { phone: "phone.tap", lock: "durable", edge: "edge.stored", broker: "up", province: "committed" };
const BACK = { province: "committed", broker: "receipt", edge: "edge.accepted", lock: "journal.receipted" };
const AT_MOST = 5; // rows of a store that are shown

// Returns the first moment of each name. A name may have a number behind it: "journal.receipted 1".
function byName(tap) {
    const found = {};
    for (const moment of tap?.moments ?? []) found[moment.id.replace(/ \d+$/, "")] ??= moment;
    return found;
}

function position(found) {
    const reached = (order, names) => order.filter((station) => found[names[station]]).at(-1) ?? null;
    return { up: reached(STATIONS, UP), back: reached(["province", "broker", "edge", "lock"], BACK) };
}

function sentence(tap, at) {
    if (!tap) return say("way.none");
    if (at.back && at.back !== "province") return say(`way.back.${at.back}`, { counter: tap.counter ?? "" });
    if (at.up && at.up !== "phone") return say(`way.up.${at.up}`, { counter: tap.counter ?? "" });
    return tap.outcome ? say("way.no-record", { outcome: outcome(tap) }) : say("way.reading");
}

function lane(kind, index, found, at, start) {
    const names = kind === "up" ? UP : BACK;
    const station = STATIONS[index];
    // A half leg is passed once the record has reached the station at its far end.
    const passed = (end) => Boolean(end && found[names[end]]);
    const left = kind === "up" ? passed(index > 0 ? station : null) : passed(index > 1 ? STATIONS[index - 1] : null);
    const right = passed(kind === "up" ? STATIONS[index + 1] : index < 4 && index > 0 ? station : null);
    const stands = at[kind] === station && (kind === "back" || station !== "phone");
    const moment = found[names[station]];
    const time = moment ? `${whole(moment.at - start)} ms` : "";
    const edge = (side, on, exists) =>
        el("i", { class: `half ${side}`, "data-passed": String(on), "data-leg": exists ? "yes" : "no" });
    const first = kind === "up" ? 0 : 1;
    return el(
        "div",
        { class: `lane ${kind}` },
        edge("before", left, index > first),
        el(
            "span",
            { class: "slot", "data-passed": String(Boolean(moment)) },
            stands ? icon(kind === "up" ? "envelope" : "receipt", "cover") : null,
        ),
        edge("after", right, index >= first && index < 4),
        el("span", { class: "time" }, time),
    );
}

function row(counter, ...words) {
    return el(
        "li",
        {},
        el("b", {}, String(counter)),
        ...words.map((word) => (typeof word === "string" ? el("span", {}, word) : word)),
    );
}

function stateWords(held, words) {
    return el("span", { class: "state", "data-held": String(held) }, icon(held ? "held" : "waits"), words);
}

function store(title, total, rows) {
    const newest = rows.slice(-AT_MOST).reverse();
    const earlier = (total ?? rows.length) - newest.length;
    return el(
        "div",
        { class: "store" },
        el("p", { class: "store-title" }, title, el("span", {}, String(total ?? rows.length))),
        el(
            "ul",
            {},
            ...newest,
            earlier > 0 ? el("li", { class: "quiet" }, say("store.earlier", { count: earlier })) : null,
        ),
    );
}

// Returns what the province complains about in a record, with its code. Of a good record, nothing is said.
function verdictWords(one) {
    return one.verdict === "ok" ? null : el("span", {}, say("store.flawed"), " ", el("code", {}, one.verdict));
}

function kindWords(kind) {
    return knows(`kind.${kind}`) ? say(`kind.${kind}`) : kind;
}

function holds(state, station, tap) {
    const stores = state.stores[state.door];
    if (station === "phone") {
        const values = tap ? { name: visitor(state, tap), outcome: outcome(tap) } : {};
        return el("p", { class: "quiet" }, say(tap ? "store.tap" : "store.phone", values));
    }
    if (station === "broker")
        return el("p", { class: "quiet" }, say(state.network ? "store.broker" : "store.broker-down"));
    if (!stores) return null;
    const bytes = (one) => `${one.bytes} B`;
    if (station === "lock")
        return store(
            say("store.journal"),
            stores.totals?.journal,
            stores.journal.map((one) =>
                row(one.counter, bytes(one), stateWords(one.state === "receipted", say(`store.${one.state}`))),
            ),
        );
    if (station === "edge")
        return store(
            say("store.outbox"),
            stores.totals?.outbox,
            stores.outbox.map((one) => row(one.counter, bytes(one), stateWords(false, say("store.waiting")))),
        );
    return store(
        say("store.province"),
        stores.totals?.province,
        stores.province.map((one) =>
            row(
                one.counter,
                el("span", { title: one.kind }, kindWords(one.kind)),
                verdictWords(one),
                stateWords(one.receipt, say(one.receipt ? "store.receipt" : "store.no-receipt")),
            ),
        ),
    );
}

function draw(state) {
    if (!state.site) return;
    const tap = state.shownTap();
    const found = byName(tap);
    const at = position(found);
    const start = tap?.began ?? 0;
    const drawn = STATIONS.map((station, index) =>
        el(
            "li",
            { class: "station", "data-station": station, "data-down": String(station === "broker" && !state.network) },
            el("p", { class: "station-name" }, icon(station), el("span", {}, say(`party.${station}`))),
            el("div", { class: "lanes" }, lane("up", index, found, at, start), lane("back", index, found, at, start)),
            el("div", { class: "holds" }, holds(state, station, tap)),
        ),
    );
    const list = byId("stations");
    list.dataset.envelope = at.up ?? "none";
    list.dataset.receipt = at.back ?? "none";
    list.replaceChildren(...drawn);
    byId("way-says").textContent = sentence(tap, at);
}

export function startWay(state) {
    state.on(["site", "tap", "stores", "network", "door", "shown"], () => draw(state));
    onLanguage(() => draw(state));
}
