// Starts the page: words, then the views, then the server's events.

import { startActs } from "/page/acts.js";
import { startClocks } from "/page/clock.js";
import { byId } from "/page/dom.js";
import { startDoor } from "/page/door.js";
import { listen } from "/page/feed.js";
import { startParties } from "/page/parties.js";
import { tokenHolds } from "/page/server.js";
import { startSound } from "/page/sound.js";
import { State } from "/page/state.js";
import { startStories } from "/page/stories.js";
import { startTimeline } from "/page/timeline.js";
import { startWay } from "/page/way.js";
import { chosenBefore, load, onLanguage, say, speak, startLanguages } from "/page/words.js";

const state = new State();

let lost = false; // has the line to the server broken since the page was opened?

function drawLine() {
    byId("line").dataset.state = state.connected ? "live" : "away";
    byId("line-text").textContent = say(state.connected ? "line.live" : "line.away");
    const token = state.tokenHolds ? "" : `live.token: ${say("error.live.token")}`;
    byId("notice").textContent = state.connected ? token : lost ? say("line.lost") : "";
}

// The page speaks Chinese if the browser or the command does. The button of the page beats both.
const browsers = navigator.language.startsWith("zh") ? "zh" : "en";

await load();
startLanguages();
startClocks();
startDoor(state);
startSound(state);
startActs(state);
startWay(state);
startTimeline(state);
startParties(state);
startStories(state);
state.on(["connection"], () => {
    lost = lost || !state.connected;
    drawLine();
});
// Whoever opens the new address in this window only changes the part after the #, and the browser loads nothing.
addEventListener("hashchange", async () => state.token(await tokenHolds()));
state.on(["site"], () => speak(chosenBefore() ?? (state.site.lang === "zh" ? "zh" : browsers)));
onLanguage(drawLine);
speak(chosenBefore() ?? browsers);
listen(state);
