// The server's events. The browser comes back by itself when the line breaks. Then the server sends what is missing.

import { byId } from "/page/dom.js";
import { tokenHolds } from "/page/server.js";

const KINDS = ["site", "board", "tap", "stores", "act", "story", "network"];
const AGAIN_MS = 1000;

export function listen(state) {
    const source = new EventSource("/events");
    for (const kind of KINDS)
        source.addEventListener(kind, (event) => {
            state.take(kind, JSON.parse(event.data));
            byId("line").dataset.last = event.lastEventId; // everything up to this message is drawn
        });
    source.addEventListener("open", async () => {
        state.connection(true);
        state.token(await tokenHolds()); // the command may have been started again, with another token
    });
    source.addEventListener("error", () => {
        state.connection(false);
        // After an answer other than 200 the browser gives up. A server that starts again answers soon.
        if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(state), AGAIN_MS);
    });
}
