#!/bin/sh
# Write .env and secrets/ where they are missing; what is there already stays.
set -eu
cd "$(dirname "$0")"

secret() { # NAME COMMAND…: write the command's output beside, then rename
    name=$1
    shift
    [ -e "secrets/$name" ] && return
    "$@" > "secrets/.$name"
    # the folder keeps others out; the file is mounted by itself, and read by the container's own user
    chmod 0644 "secrets/.$name"
    mv "secrets/.$name" "secrets/$name"
    echo "secrets/$name: written"
}

random() {
    head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_'
}

mkdir -p secrets
chmod 0700 secrets
secret webui_secret_key random
secret vllm_api_key random
secret hf_token true

if [ ! -e .env ]; then
    cp .env.example .env
    echo ".env: copied from .env.example; look through it"
fi
if grep -q '^WEBUI_IMAGE=fork.invalid/' .env; then
    echo "WEBUI_IMAGE in .env is a placeholder: set it, or run \`nox -s pin -- REGISTRY/NAME:TAG\` in the folder above."
fi
echo "Next: docker compose up -d, and then http://localhost:3000"
