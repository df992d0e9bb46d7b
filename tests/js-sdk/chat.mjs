// Two people with three devices use a server as clients do: node chat.mjs http://127.0.0.1:8008
// Each step prints a line when it holds; the last line is "done". The first thing that does not hold ends it.

import { randomBytes } from "node:crypto";
import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";

import { decrypt, encrypt } from "./attachment.mjs";
import { assert, byPassword, Device, register, until } from "./people.mjs";

const baseUrl = process.argv[2];
const suffix = randomBytes(4).toString("hex");
const secrets = new Map();

function holds(what) {
    console.log(`ok - ${what}`);
}

async function setUp(device) {
    await device.crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: byPassword(device.userId) });
    await device.crypto.bootstrapSecretStorage({
        createSecretStorageKey: () => device.crypto.createRecoveryKeyFromPassphrase(),
        setupNewKeyBackup: true,
    });
    await until("cross-signing to be ready", () => device.crypto.isCrossSigningReady());
    await until("the backup to be on", () => device.crypto.getActiveSessionBackupVersion());
}

async function talk(alice, bob) {
    const { room_id: roomId } = await alice.client.createRoom({
        preset: "private_chat",
        name: "Two people",
        invite: [bob.userId],
    });
    await bob.room(roomId, "invite");
    await bob.client.joinRoom(roomId);
    await alice.room(roomId);
    await bob.room(roomId);
    await until("the room to be encrypted for both", async () =>
        (await alice.crypto.isEncryptionEnabledInRoom(roomId)) && (await bob.crypto.isEncryptionEnabledInRoom(roomId)));
    holds("a private room is encrypted without anybody asking for it");
    await until("Alice to see Bob in the room", () => alice.client.getRoom(roomId).getMember(bob.userId)?.membership === "join");

    for (const [from, to, text] of [[alice, bob, "Hello Bob"], [bob, alice, "Hello Alice, schön dich zu lesen 🎉"]]) {
        const id = await from.say(roomId, text);
        const event = await to.event(roomId, id);
        assert(event.getWireType() === "m.room.encrypted", "the server only saw ciphertext");
        assert(event.getContent().body === text, "the decrypted text is the one sent");
    }
    holds("encrypted messages go both ways");
    return roomId;
}

async function attach(alice, bob, roomId) {
    const plaintext = randomBytes(200_000);
    const { ciphertext, file } = encrypt(plaintext);
    const upload = await alice.client.uploadContent(ciphertext, { type: "application/octet-stream", includeFilename: false });
    const id = await alice.send(roomId, "m.room.message", {
        msgtype: "m.file",
        body: "noise.bin",
        file: { ...file, url: upload.content_uri },
        info: { size: plaintext.length },
    });
    const { file: received } = (await bob.event(roomId, id)).getContent();
    const url = bob.client.mxcUrlToHttp(received.url, undefined, undefined, undefined, false, true, true);
    const headers = { Authorization: `Bearer ${bob.client.getAccessToken()}` };
    const answer = await fetch(url, { headers });
    assert(answer.status === 200, `the attachment is there, not ${answer.status}`);
    assert(decrypt(Buffer.from(await answer.arrayBuffer()), received).equals(plaintext), "the attachment is the one sent");
    assert((await fetch(url)).status === 401, "nobody gets it without a token");
    holds("an encrypted attachment arrives whole");
}

/** Both sides of a verification by emoji; the emoji must be the same. */
async function compareEmoji(asking, asked, request) {
    const incoming = await until("the request for verification", () =>
        asked.requests.find((incoming) => incoming.transactionId === request.transactionId));
    await incoming.accept();
    await until("the request to be accepted", () => request.phase === 3);
    const verifier = await request.startVerification("m.sas.v1");
    const shown = (verifier) => until("the emoji", () => verifier.getShowSasCallbacks());
    const verified = verifier.verify();
    const other = await until("the other side's verifier", () => incoming.verifier);
    const otherVerified = other.verify();
    const [ours, theirs] = [await shown(verifier), await shown(other)];
    const names = (sas) => sas.sas.emoji.map(([, name]) => name).join(" ");
    assert(names(ours) === names(theirs), "both see the same emoji");
    await Promise.all([ours.confirm(), theirs.confirm()]);
    await Promise.all([verified, otherVerified]);
}

async function verifyEachOther(alice, bob, roomId) {
    await compareEmoji(alice, bob, await alice.crypto.requestVerificationDM(bob.userId, roomId));
    for (const [one, other] of [[alice, bob], [bob, alice]]) {
        await until(`${one.name} to trust ${other.name}`, async () =>
            (await one.crypto.getUserVerificationStatus(other.userId)).isCrossSigningVerified());
    }
    holds("two people verify each other by emoji, and cross-signing carries it");
}

async function secondDevice(alice, bob, roomId) {
    const before = (await alice.event(roomId, await bob.say(roomId, "Before your new phone"))).getId();
    await until("the backup of the key", async () => (await alice.get("/room_keys/version")).count >= 2);
    const phone = await Device.login(baseUrl, `alice-${suffix}`, "Alice's phone", secrets);
    await compareEmoji(phone, alice, await phone.crypto.requestOwnUserVerification());
    await until("the phone to be verified", async () =>
        (await alice.crypto.getDeviceVerificationStatus(alice.userId, phone.id))?.signedByOwner);
    await until("Bob to see the phone signed by Alice", async () =>
        (await bob.crypto.getDeviceVerificationStatus(alice.userId, phone.id))?.signedByOwner);
    holds("a new device is verified by the old one and others see it signed");

    await phone.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    const restored = await phone.crypto.restoreKeyBackup();
    assert(restored.imported >= 1, "keys come back from the backup");
    await phone.room(roomId);
    assert((await phone.event(roomId, before)).getContent().body === "Before your new phone", "old messages are read");
    holds("the new device restores the backup and reads what was said before");

    const id = await bob.say(roomId, "To both your devices");
    for (const device of [alice, phone]) {
        assert((await device.event(roomId, id)).getContent().body === "To both your devices", "both devices read it");
    }
    holds("what is said next reaches both devices");
    return phone;
}

async function editReactThread(alice, bob, roomId) {
    const id = await alice.say(roomId, "Helo");
    await bob.event(roomId, id);
    await alice.send(roomId, "m.room.message", {
        "msgtype": "m.text",
        "body": "* Hello",
        "m.new_content": { msgtype: "m.text", body: "Hello" },
        "m.relates_to": { rel_type: "m.replace", event_id: id },
    });
    await until("the edit", async () => (await bob.event(roomId, id)).getContent().body === "Hello");
    holds("an edit replaces the text");

    await bob.send(roomId, "m.reaction", { "m.relates_to": { rel_type: "m.annotation", event_id: id, key: "👍" } });
    await until("the reaction", () => {
        const relations = alice.client.getRoom(roomId).relations.getChildEventsForEvent(id, "m.annotation", "m.reaction");
        return relations?.getSortedAnnotationsByKey()?.[0]?.[0] === "👍";
    });
    holds("a reaction is seen");

    const reply = await bob.send(roomId, "m.room.message", { msgtype: "m.text", body: "In a thread" }, id);
    assert((await alice.event(roomId, reply)).getContent().body === "In a thread", "the reply is read");
    await until("the thread", () => alice.client.getRoom(roomId).getThread(id)?.length === 1);
    holds("a thread begins");
}

async function receipts(alice, bob, roomId) {
    const event = await bob.event(roomId, await alice.say(roomId, "Have you read this?"));
    await until("the unread count", () => bob.client.getRoom(roomId).getUnreadNotificationCount() > 0);
    await bob.client.sendReadReceipt(event);
    await until("the receipt", () => alice.client.getRoom(roomId).getEventReadUpTo(bob.userId) === event.getId());
    await until("the count to go", () => bob.client.getRoom(roomId).getRoomUnreadNotificationCount() === 0);
    await alice.client.sendTyping(roomId, true, 20_000);
    await until("typing", () => bob.client.getRoom(roomId).getMember(alice.userId).typing);
    holds("receipts, unread counts and typing are seen");
}

async function slidingSync(bob, alice, roomId) {
    const list = {
        ranges: [[0, 20]],
        timeline_limit: 20,
        required_state: [["*", "*"]],
    };
    const start = ({ client }) => ({
        slidingSync: new SlidingSync(baseUrl, new Map([["all", list]]), { timeline_limit: 20, required_state: [["*", "*"]] }, client, 30_000),
    });
    const tablet = await Device.login(baseUrl, `bob-${suffix}`, "Bob's tablet", new Map(), start);
    await tablet.room(roomId);
    // The others must know of the tablet before they encrypt for it.
    await until("Alice to know the tablet", async () =>
        (await alice.crypto.getUserDeviceInfo([bob.userId], true)).get(bob.userId)?.has(tablet.id));
    const id = await alice.say(roomId, "On all your screens");
    assert((await tablet.event(roomId, id)).getContent().body === "On all your screens", "it is read by sliding sync");
    const answer = await tablet.say(roomId, "From the tablet");
    assert((await alice.event(roomId, answer)).getContent().body === "From the tablet", "and answered");
    holds("a device on sliding sync reads and writes encrypted messages");
    await tablet.stop();
    await tablet.client.logout();
}

async function logOut(phone, bob) {
    const { userId, id } = phone;
    await phone.stop();
    await phone.client.logout();
    try {
        await phone.client.whoami();
        assert(false, "a token is gone after the logout");
    } catch (error) {
        assert(error.errcode === "M_UNKNOWN_TOKEN", `the token is unknown, not ${error}`);
    }
    await until("Bob to see the device gone", async () =>
        !(await bob.crypto.getUserDeviceInfo([userId], true)).get(userId)?.has(id));
    holds("a device that logs out is gone for others");
}

await register(baseUrl, `alice-${suffix}`);
await register(baseUrl, `bob-${suffix}`);
holds("two people register");
const alice = await Device.login(baseUrl, `alice-${suffix}`, "Alice's laptop", secrets);
const bob = await Device.login(baseUrl, `bob-${suffix}`, "Bob's laptop");
await setUp(alice);
await setUp(bob);
holds("cross-signing, secret storage and backup are set up");
const roomId = await talk(alice, bob);
await attach(alice, bob, roomId);
await verifyEachOther(alice, bob, roomId);
const phone = await secondDevice(alice, bob, roomId);
await editReactThread(alice, bob, roomId);
await receipts(alice, bob, roomId);
await slidingSync(bob, alice, roomId);
await logOut(phone, bob);
await alice.stop();
await bob.stop();
console.log("done");
process.exit(0);
