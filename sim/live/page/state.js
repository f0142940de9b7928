// What the server has told so far. Views draw from here; nothing is computed that the server knows better.

const fresh = () => ({ site: null, boards: {}, taps: new Map(), stores: {}, acts: {}, tags: {} });

export class State extends EventTarget {
    constructor() {
        super();
        Object.assign(this, fresh());
        this.door = null;
        this.tapChosen = null; // null: show the newest
        this.network = true;
        this.story = null;
        this.connected = false;
        this.newLine = false; // is the next site the first one of this connection?
    }

    // Calls `draw` whenever a message of these kinds has come, or another door or tap is shown.
    on(kinds, draw) {
        for (const kind of kinds) this.addEventListener(kind, (event) => draw(event.detail));
    }

    tell(kind, detail = null) {
        this.dispatchEvent(new CustomEvent(kind, { detail }));
    }

    take(kind, data) {
        if (kind === "site") {
            const door = this.door;
            // A server that was started again tells of its story after the site, if it plays one.
            if (this.newLine) this.story = null;
            this.newLine = false;
            Object.assign(this, fresh(), { site: data, network: data.network });
            this.tapChosen = null;
            this.door = data.doors.some((each) => each.id === door) ? door : (data.doors[0]?.id ?? null);
        } else if (kind === "board") this.boards[data.door] = data;
        else if (kind === "tap") this.taps.set(data.tap, data);
        else if (kind === "stores") this.stores[data.door] = data;
        else if (kind === "act") this.acts[data.door ?? data.action] = data;
        else if (kind === "story") this.story = data;
        else if (kind === "network") this.network = data.up;
        this.tell(kind, data);
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

    tapsHere() {
        return [...this.taps.values()]
            .filter((tap) => tap.door === this.door)
            .sort((one, other) => one.tap - other.tap);
    }

    shownTap() {
        return this.taps.get(this.tapChosen) ?? this.tapsHere().at(-1) ?? null;
    }

    person(id) {
        return this.site?.people.find((each) => each.id === id) ?? null;
    }

    // Is an act going on at this place: a door, "network", or "story", which takes the whole site?
    busy(place) {
        const begun = [place, "story"].some((each) => this.acts[each]?.state === "began");
        return begun || this.story?.state === "playing";
    }
}
