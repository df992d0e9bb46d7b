// People and their devices: a MatrixClient each, with the Rust crypto in memory, and waiting for what must happen.

import { ClientEvent, createClient, MatrixEventEvent } from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

// What the SDK says of its inner life is only of interest when something fails.
if (!process.env.VERBOSE) logger.setLevel("error");

export const PASSWORD = "correct horse battery staple";

/** Longer than anything here takes on a busy machine. */
const PATIENCE_MS = 60_000;

export function assert(condition, what) {
    if (!condition) throw new Error(`it does not hold that ${what}`);
}

/** Waits until `probe` gives something, asking again every now and then. */
export async function until(what, probe) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const found = await probe();
        if (found) return found;
        if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
        await new Promise((done) => setTimeout(done, 50));
    }
}

/** A new account; the answer to its registration. */
export async function register(baseUrl, username) {
    const client = createClient({ baseUrl });
    const auth = { type: "m.login.dummy" };
    try {
        return await client.registerRequest({ username, password: PASSWORD, inhibit_login: true });
    } catch (error) {
        // The first answer says which stages there are, in a session.
        assert(error.httpStatus === 401, `registering asks for a stage first, not ${error}`);
        assert(
            error.data.flows.some((flow) => flow.stages.length === 1 && flow.stages[0] === auth.type),
            "a flow with the dummy stage alone is offered",
        );
        return client.registerRequest({
            username,
            password: PASSWORD,
            inhibit_login: true,
            auth: { ...auth, session: error.data.session },
        });
    }
}

/** Answers user-interactive authentication with the password. */
export const byPassword = (userId) => async (makeRequest) => {
    try {
        return await makeRequest(null);
    } catch (error) {
        if (error.httpStatus !== 401) throw error;
        return makeRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: userId },
            password: PASSWORD,
            session: error.data.session,
        });
    }
};

/** A signed-in device. */
export class Device {
    /** Logs in as `username` and starts to sync. `secrets` holds secret-storage keys shared by a person's devices. */
    static async login(baseUrl, username, name, secrets = new Map(), start = () => ({})) {
        const login = await createClient({ baseUrl }).loginRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: username },
            password: PASSWORD,
            initial_device_display_name: name,
        });
        const device = new Device();
        device.name = name;
        device.requests = [];
        device.client = createClient({
            baseUrl,
            userId: login.user_id,
            deviceId: login.device_id,
            accessToken: login.access_token,
            timelineSupport: true,
            verificationMethods: ["m.sas.v1"],
            cryptoCallbacks: {
                getSecretStorageKey: async ({ keys }) => {
                    const id = Object.keys(keys).find((id) => secrets.has(id));
                    return id ? [id, secrets.get(id)] : null;
                },
                cacheSecretStorageKey: (id, _info, key) => secrets.set(id, key),
            },
        });
        device.client.on("crypto.verificationRequestReceived", (request) => device.requests.push(request));
        await device.client.initRustCrypto({ useIndexedDB: false });
        await device.client.startClient({ initialSyncLimit: 20, threadSupport: true, ...start(device) });
        await until(`${name}'s first sync`, () => device.client.isInitialSyncComplete());
        return device;
    }

    get userId() {
        return this.client.getUserId();
    }

    get id() {
        return this.client.getDeviceId();
    }

    get crypto() {
        return this.client.getCrypto();
    }

    /** What the server itself says, past all that the SDK remembers. */
    async get(path) {
        return this.client.http.authedRequest("GET", path);
    }

    /** The room, once this device knows that its user is a member as said. */
    async room(roomId, membership = "join") {
        return until(`${this.name} to see ${membership} of the room`, () => {
            const room = this.client.getRoom(roomId);
            return room?.getMyMembership() === membership && room;
        });
    }

    /** Everything this device has of the room, threads included. */
    events(roomId) {
        const room = this.client.getRoom(roomId);
        if (!room) return [];
        const threads = room.getThreads().flatMap((thread) => thread.events);
        return [...room.getLiveTimeline().getEvents(), ...threads];
    }

    /** The event with this id, decrypted. */
    async event(roomId, eventId) {
        return until(`${this.name} to have ${eventId} decrypted`, async () => {
            const event = this.events(roomId).find((event) => event.getId() === eventId);
            if (event?.isBeingDecrypted()) await event.getDecryptionPromise();
            return event && !event.isDecryptionFailure() && event.getType() !== "m.room.encrypted" && event;
        });
    }

    /** Sends `content` and returns the event's id. */
    async send(roomId, type, content, threadId = null) {
        return (await this.client.sendEvent(roomId, threadId, type, content)).event_id;
    }

    async say(roomId, body) {
        return this.send(roomId, "m.room.message", { msgtype: "m.text", body });
    }

    async stop() {
        this.client.stopClient();
    }
}

export { ClientEvent, MatrixEventEvent };
