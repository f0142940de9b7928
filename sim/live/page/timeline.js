// The timeline of one tap, in the order in which the server sends it: causes before effects. It is never sorted here.

import { outcome, visitor } from "/page/acts.js";
import { byId, el, icon, svg, whole } from "/page/dom.js";
import { onLanguage, pick, say } from "/page/words.js";

const LANES = ["phone", "lock", "edge", "MQTT", "province"];
const LANE_GAP = 13;
const AT_MOST = 6; // taps that can be chosen

const laneX = (party) => 8 + LANES.indexOf(party) * LANE_GAP;

// Draws the lanes of all parties, and in them this moment with a line from each cause.
function lanes(moment, named) {
    const drawn = svg("svg", {
        class: "lanes-drawn",
        viewBox: "0 0 68 26",
        width: 68,
        height: 26,
        "aria-hidden": "true",
    });
    for (const cause of moment.after ?? []) {
        const from = named.get(cause);
        if (from && from.who !== moment.who)
            drawn.append(
                svg("path", {
                    class: "cause",
                    d: `M${laneX(from.who)} 0V4Q${laneX(from.who)} 12 ${laneX(moment.who)} 13`,
                }),
            );
    }
    drawn.append(svg("circle", { class: "dot", "data-party": moment.who, cx: laneX(moment.who), cy: 13, r: 4.5 }));
    return drawn;
}

function table(state, tap) {
    const named = new Map(tap.moments.map((moment) => [moment.id, moment]));
    const rows = tap.moments.map((moment) =>
        el(
            "tr",
            { "data-moment": moment.id },
            el("td", { class: "number" }, String(whole(moment.at - tap.began))),
            el("td", { class: "lanes-cell" }, lanes(moment, named)),
            el("td", { class: "party", "data-party": moment.who }, say(`timeline.who.${moment.who}`)),
            el("td", { class: "what" }, pick(moment.text)),
            el(
                "td",
                { class: "number took" },
                moment.took === null || moment.took === undefined ? "" : `${whole(moment.took)} ms`,
            ),
        ),
    );
    const head = ["ms", "", "who", "what", "took"].map((name) =>
        name
            ? el("th", { scope: "col", class: ["ms", "took"].includes(name) ? "number" : "" }, say(`timeline.${name}`))
            : el("td", { class: "lanes-cell" }),
    );
    return el(
        "table",
        {},
        el(
            "caption",
            {},
            say("timeline.caption", { tap: tap.number, name: visitor(state, tap), outcome: outcome(tap) }),
        ),
        el("thead", {}, el("tr", {}, ...head)),
        el("tbody", {}, ...rows),
    );
}

// Returns the taps that can be chosen: the newest ones, and the chosen one if it is older.
function choice(state, shown) {
    const taps = state.tapsHere();
    return taps.filter((tap, at) => at >= taps.length - AT_MOST || tap === shown);
}

function chips(state, shown) {
    return choice(state, shown).map((tap) => {
        const sign = { opened: "held", refused: "broken" }[tap.outcome] ?? "waits";
        return el(
            "button",
            {
                type: "button",
                "data-tap": tap.tap,
                "data-outcome": tap.outcome ?? "",
                "aria-pressed": String(tap === shown),
                click: () => state.showTap(tap.tap),
            },
            icon(sign),
            `${tap.number} ${visitor(state, tap)}`,
            el("span", { class: "unseen" }, `, ${outcome(tap)}`),
        );
    });
}

function draw(state) {
    if (!state.site) return;
    const shown = state.shownTap();
    const bar = byId("taps");
    const focused = document.activeElement?.closest?.("#taps button")?.dataset.tap;
    bar.replaceChildren(...chips(state, shown));
    bar.hidden = !shown;
    const earlier = shown ? state.tapsHere().at(-1).number - bar.childElementCount : 0;
    byId("taps-earlier").textContent = earlier > 0 ? say("store.earlier", { count: earlier }) : "";
    if (focused) bar.querySelector(`[data-tap="${focused}"]`)?.focus();
    byId("moments").replaceChildren(shown ? table(state, shown) : el("p", { class: "quiet" }, say("timeline.none")));
}

export function startTimeline(state) {
    state.on(["site", "tap", "door", "shown"], () => draw(state));
    onLanguage(() => draw(state));
}
