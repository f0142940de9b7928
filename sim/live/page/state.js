// What the server has told so far. Views draw from here; nothing is computed that the server knows better.

const TAPS_KEPT = 20; // of each door, as the server keeps them
const AT_ANY_TIME = ["power", "open-door", "take-away"]; // acts that are possible while somebody is at the door

const fresh = () => ({ site: null, boards: {}, taps: new Map(), stores: {}, acts: new Map() });

export class State extends EventTarget {
    constructor() {
        super();
        Object.assign(this, fresh());
        this.door = null;
        this.tapChosen = null; // null: show the newest
        this.network = true;
        this.story = null;
        this.connected = false;
        this.tokenHolds = true; // as long as the server has not refused it
        this.newLine = false; // is the next message the first one of this connection?
    }

    // Calls `draw` whenever a message of these kinds has come, or another door or tap is shown.
    on(kinds, draw) {
        for (const kind of kinds) this.addEventListener(kind, (event) => draw(event.detail));
    }

    tell(kind, detail = null) {
        this.dispatchEvent(new CustomEvent(kind, { detail }));
    }

    take(kind, data) {
        const first = this.newLine;
        this.newLine = false;
        if (kind === "site") {
            const door = this.door;
            // A server that was started again tells of its story after the site, if it plays one.
            if (first) this.story = null;
            Object.assign(this, fresh(), { site: data, network: data.network });
            this.tapChosen = null;
            this.door = data.doors.some((each) => each.id === door) ? door : (data.doors[0]?.id ?? null);
        } else if (kind === "board") this.boards[data.door] = data;
        else if (kind === "tap") this.keep(data);
        else if (kind === "stores") this.stores[data.door] = data;
        else if (kind === "act" && data.state === "began") this.acts.set(data.act, data);
        else if (kind === "act") this.acts.delete(data.act);
        else if (kind === "story") this.story = data;
        else if (kind === "network") this.network = data.up;
        this.tell(kind, data);
    }

    keep(tap) {
        this.taps.set(tap.tap, tap);
        for (const old of this.tapsAt(tap.door).slice(0, -TAPS_KEPT))
            if (old.tap !== this.tapChosen) this.taps.delete(old.tap);
    }

    showDoor(id) {
        this.door = id;
        this.tapChosen = null;
        this.tell("door");
    }

    showTap(number) {
        this.tapChosen = number === this.tapsHere().at(-1)?.tap ? null : number;
        this.tell("shown");
    }

    connection(up) {
        this.connected = up;
        this.newLine = up;
        this.tell("connection");
    }

    // The server takes the token of this address, or refuses it. Null: the server did not answer.
    token(holds) {
        if (holds !== null) this.tokenHolds = holds;
        this.tell("connection");
    }

    tapsAt(door) {
        return [...this.taps.values()].filter((tap) => tap.door === door).sort((one, other) => one.tap - other.tap);
    }

    tapsHere() {
        return this.tapsAt(this.door);
    }

    shownTap() {
        return this.taps.get(this.tapChosen) ?? this.tapsHere().at(-1) ?? null;
    }

    person(id) {
        return this.site?.people.find((each) => each.id === id) ?? null;
    }

    // Returns what the shown door's board shows, or null if nobody knows: the last lamp says nothing about now.
    board(door = this.door) {
        return this.connected ? (this.boards[door] ?? null) : null;
    }

    // Is a phone at the reader of the shown door?
    phoneHere() {
        const tap = this.connected ? this.tapsHere().at(-1) : null;
        return Boolean(tap && !tap.outcome && tap.moments.some((moment) => moment.id === "phone.tap"));
    }

    // Returns why an act cannot begin now, as a key of the page's words. Null: it can. The server decides in the end.
    why(action) {
        if (!this.connected) return "why.away";
        if (!this.tokenHolds) return "error.live.token";
        if (this.story && this.story.state !== "over") return "why.story";
        const acts = [...this.acts.values()];
        if (action === "story") return acts.length ? "why.act" : null;
        const same = (act) => act.action === action && act.door === (action === "network" ? null : this.door);
        if (action === "network" || AT_ANY_TIME.includes(action)) {
            if (acts.some(same)) return "why.same";
            return action !== "take-away" || this.phoneHere() ? null : "error.live.nobody";
        }
        const blocks = (act) => act.door === this.door && (act.action === "power" || !AT_ANY_TIME.includes(act.action));
        return acts.some(blocks) ? "why.door" : null;
    }
}
