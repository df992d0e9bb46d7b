// Encrypted attachments, as https://spec.matrix.org/v1.19/client-server-api/#sending-encrypted-attachments has them.

import { createDecipheriv, createCipheriv, createHash, randomBytes } from "node:crypto";

const unpadded = (bytes) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");

export function encrypt(plaintext) {
    const key = randomBytes(32);
    const iv = Buffer.concat([randomBytes(8), Buffer.alloc(8)]);
    const cipher = createCipheriv("aes-256-ctr", key, iv);
    const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    const file = {
        v: "v2",
        key: { kty: "oct", alg: "A256CTR", ext: true, key_ops: ["encrypt", "decrypt"], k: key.toString("base64url") },
        iv: unpadded(iv),
        hashes: { sha256: unpadded(createHash("sha256").update(ciphertext).digest()) },
    };
    return { ciphertext, file };
}

export function decrypt(ciphertext, file) {
    const hash = unpadded(createHash("sha256").update(ciphertext).digest());
    if (hash !== file.hashes.sha256) throw new Error("the attachment that came back is another");
    const decipher = createDecipheriv("aes-256-ctr", Buffer.from(file.key.k, "base64url"), Buffer.from(file.iv, "base64"));
    return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}
