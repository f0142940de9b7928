// Makes elements. Data becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name === "click") made.addEventListener("click", value);
        else if (value === true) made.setAttribute(name, "");
        else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

export function el(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function icon(name, extra = "") {
    return svg("svg", { class: `icon ${extra}`.trim(), "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

export const byId = (id) => document.getElementById(id);

// Rounds as Python does in the console's timeline: a half goes to the even neighbour.
export function whole(number) {
    const below = Math.floor(number);
    if (number - below !== 0.5) return Math.round(number);
    return below % 2 ? below + 1 : below;
}
