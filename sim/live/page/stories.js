// The whole story that plays by itself, and every scenario by name. Promises are ticked as the server reports them.

import { enable, send } from "/page/acts.js";
import { clock } from "/page/clock.js";
import { byId, el, icon } from "/page/dom.js";
import { onLanguage, pick, say } from "/page/words.js";

const TOUR = "tour";

function drawChoice(state) {
    if (!state.site) return;
    const select = byId("story-name");
    const chosen = select.value;
    const names = state.site.stories.filter((story) => story.name !== TOUR);
    select.replaceChildren(...names.map((story) => el("option", { value: story.name }, story.name)));
    if (names.some((story) => story.name === chosen)) select.value = chosen;
    drawTells(state);
}

function drawTells(state) {
    const chosen = state.site?.stories.find((story) => story.name === byId("story-name").value);
    const why = state.why("story"); // what the buttons wait for is more urgent than what the story tells
    byId("story-tells").textContent = chosen ? (why ? say(why) : pick(chosen.tells)) : "";
}

function title(story) {
    const held = story.promises.filter((promise) => promise.held).length;
    const name = story.name === TOUR ? say("story.whole") : story.name;
    const values = { name, held, all: story.promises.length };
    if (story.state === "building") return say("story.building", { name, step: pick(story.step) });
    if (story.state !== "over") return say(`story.${story.state}`, values);
    if (story.ok) return say("story.held", values);
    // An error, or the end of the command, may end a story although each promise so far was kept.
    return say(held === story.promises.length ? "story.stopped" : "story.broken", values);
}

function drawPromises(state) {
    const story = state.story;
    byId("promises").hidden = !story;
    for (const each of [byId("tour"), byId("story-form").querySelector("button")]) enable(each, state.why("story"));
    drawTells(state);
    if (!story) return;
    const going = story.state !== "over" && state.connected;
    byId("promises").dataset.state = story.state;
    byId("story-clock").replaceChildren(...(going && story.since ? [clock(story.since)] : []));
    byId("promises").dataset.ok = String(story.ok);
    byId("promises-title").textContent = title(story);
    byId("promise-list").replaceChildren(
        ...story.promises.map((promise) =>
            el(
                "li",
                { "data-held": String(promise.held) },
                icon(promise.held ? "held" : "broken"),
                el("span", { class: "unseen" }, say(promise.held ? "story.kept" : "story.not-kept")),
                pick(promise.claim),
            ),
        ),
    );
}

export function startStories(state) {
    byId("tour").addEventListener("click", () => send(state, "story", { name: TOUR }));
    byId("story-form").addEventListener("submit", (event) => {
        event.preventDefault();
        send(state, "story", { name: byId("story-name").value });
    });
    byId("story-name").addEventListener("change", () => drawTells(state));
    state.on(["site"], () => drawChoice(state));
    state.on(["site", "story", "act", "connection", "door"], () => drawPromises(state));
    onLanguage(() => {
        drawChoice(state);
        drawPromises(state);
    });
}
