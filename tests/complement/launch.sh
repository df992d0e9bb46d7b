#!/usr/bin/env bash
# Starts one Holdfast as a server of the Complement suite: tests/complement/README.md says how.
set -euo pipefail
cd "$CONTAINER_DATA"

# The certificate is made anew at every start: the suite has a new authority for each package.
openssl ecparam -name prime256v1 -genkey -noout -out server.key 2>/dev/null
openssl req -new -key server.key -subj "/CN=$SERVER_NAME" -out server.csr 2>/dev/null
openssl x509 -req -in server.csr -CA /complement/ca/ca.crt -CAkey /complement/ca/ca.key -CAcreateserial -CAserial ca.srl \
    -days 2 -extfile <(printf 'subjectAltName=DNS:%s,IP:%s' "$SERVER_NAME" "$CONTAINER_IP") -out server.pem 2>/dev/null

appservices=""
for file in /complement/appservice/*.yaml; do
    [ -e "$file" ] && appservices="$appservices\"$file\", "
done

cat > holdfast.toml <<TOML
server_name = "$SERVER_NAME"
data_dir = "$CONTAINER_DATA/data"
default_room_version = "11"
appservices = [$appservices]

[[listen]]
address = "$CONTAINER_IP:8008"

[[listen]]
address = "$CONTAINER_IP:8448"
tls = { certificate = "server.pem", key = "server.key" }

[registration]
mode = "open"
shared_secret = "complement"

[federation]
extra_ca = ["/complement/ca/ca.crt"]
allow_private_addresses = true

[rooms]
encryption = "optional"

[limits]
enabled = false

[passwords]
cost = "low"
TOML
exec "${HOLDFAST:-holdfast}" --config holdfast.toml
