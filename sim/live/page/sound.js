// The chosen door's tone, heard. It is silent until somebody asks for it.

import { byId } from "/page/dom.js";

const LOUD = 0.06;
const SOFT_SECONDS = 0.008; // a tone that begins or ends at once would click

export function startSound(state) {
    const button = byId("sound");
    let context = null;
    let oscillator = null;
    let gain = null;

    function play() {
        if (!context) return;
        const wanted = button.getAttribute("aria-pressed") === "true";
        const tone = wanted ? (state.board()?.tone ?? 0) : 0;
        if (tone) oscillator.frequency.value = tone;
        gain.gain.setTargetAtTime(tone ? LOUD : 0, context.currentTime, SOFT_SECONDS);
    }

    button.addEventListener("click", async () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        if (on && !context) {
            context = new AudioContext();
            oscillator = new OscillatorNode(context, { type: "square" });
            gain = new GainNode(context, { gain: 0 });
            oscillator.connect(gain).connect(context.destination);
            oscillator.start();
        }
        play();
        await context?.resume();
    });
    state.on(["board", "door", "site", "connection"], play);
}
