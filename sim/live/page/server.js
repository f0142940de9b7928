// Requests to the server. The token is in the address that the console printed, after the #. Only that address has it, so
// a page whose command was started again cannot find the new token by itself.

const token = () => location.hash.slice(1);

export class Refused extends Error {
    constructor(code, text) {
        super(code);
        this.code = code;
        this.text = text;
    }
}

async function ask(path, options) {
    let response;
    try {
        response = await fetch(path, options);
    } catch {
        throw new Refused("live.away", null);
    }
    const body = await response.json();
    if (!response.ok) throw new Refused(body.code, body.message);
    return body;
}

// Returns whether the server takes the token of this page's address, or null if the server does not answer.
export async function tokenHolds() {
    try {
        await ask("/token", { headers: { "Mooring-Token": token() } });
        return true;
    } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return error.code === "live.token" ? false : null;
    }
}

export function act(action, facts = {}) {
    return ask("/act", {
        method: "POST",
        headers: { "Content-Type": "application/json", "Mooring-Token": token() },
        body: JSON.stringify({ action, ...facts }),
    });
}

export function record(door, counter) {
    const path = `/record/${encodeURIComponent(door)}/${encodeURIComponent(counter)}`;
    return ask(path, { headers: { "Mooring-Token": token() } });
}
