// The page's own words, in both languages. Texts about the site come from the server as {"en", "zh"}.

import { byId } from "/page/dom.js";

const LANGUAGES = ["en", "zh"];
const KEPT = "mooring.language";
const words = {};
const listeners = [];
let language = "en";

export async function load() {
    const read = async (name) => (await fetch(`/page/words.${name}.json`)).json();
    const files = await Promise.all(LANGUAGES.map(read));
    LANGUAGES.forEach((name, at) => (words[name] = files[at]));
}

// Returns the page's text for `key`, with {name} replaced by values.name.
export function say(key, values = {}) {
    const text = words[language][key];
    if (text === undefined) throw new Error(`no words for ${key}`);
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export const knows = (key) => words[language][key] !== undefined;

// Returns a text of the server in the shown language. Names and codes come as plain strings.
export function pick(text) {
    if (text === null || text === undefined) return "";
    return typeof text === "object" ? (text[language] ?? text.en) : String(text);
}

export function chosenBefore() {
    return sessionStorage.getItem(KEPT);
}

export function onLanguage(listener) {
    listeners.push(listener);
}

export function speak(name) {
    if (!LANGUAGES.includes(name)) return;
    language = name;
    document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
    document.title = say("title");
    for (const each of document.querySelectorAll("[data-words]")) each.textContent = say(each.dataset.words);
    for (const each of document.querySelectorAll("[data-label]"))
        each.setAttribute("aria-label", say(each.dataset.label));
    for (const each of document.querySelectorAll("[data-language]"))
        each.setAttribute("aria-pressed", String(each.dataset.language === name));
    listeners.forEach((listener) => listener());
}

export function startLanguages() {
    for (const each of document.querySelectorAll("[data-language]"))
        each.addEventListener("click", () => {
            sessionStorage.setItem(KEPT, each.dataset.language);
            speak(each.dataset.language);
        });
    byId("skip").addEventListener("click", (event) => {
        event.preventDefault(); // the address keeps its token
        byId("main").focus();
    });
}
