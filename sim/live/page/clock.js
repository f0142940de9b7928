// Counts the seconds of what is under way, so that nothing on the page stands still for long. The seconds are no live
// region: a screen reader would read each of them.

import { el } from "/page/dom.js";
import { onLanguage, say } from "/page/words.js";

const EVERY_MS = 250;

function count(shown) {
    const seconds = Math.max(0, Math.floor((Date.now() - Number(shown.dataset.since)) / 1000));
    const words = say("seconds", { seconds });
    if (shown.textContent !== words) shown.textContent = words;
}

// Returns an element that counts from `since`, in milliseconds since 1970: server and browser are on one machine.
export function clock(since) {
    const made = el("span", { class: "seconds quiet", "data-since": since });
    count(made);
    return made;
}

export function startClocks() {
    const all = () => document.querySelectorAll("[data-since]").forEach(count);
    setInterval(all, EVERY_MS);
    onLanguage(all);
}
