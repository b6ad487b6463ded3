#!/usr/bin/env bash
# restore.sh FOLDER: stop the containers, put back all that backup.sh saved in FOLDER, start them again (unless
# START=no). What they kept till then is gone. Secrets are put back where there are none: the database's password must be
# the one it was made with.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "${1:?where from}")
say() { echo "$(date +%T) $*" >&2; }

say "checking $folder"
(cd "$folder" && sha256sum --check --quiet SHA256SUMS)
[ -d secrets ] || tar --extract --gzip --file "$folder/secrets.tar.gz"
say "stopping"
deploy/containers/compose down --remove-orphans 2>/dev/null

put_back() {
  say "$1"
  # shellcheck disable=SC2016 # for the shell in the container
  deploy/containers/compose run --rm -T --no-deps --entrypoint sh volumes -c '
    set -eu; cd /volumes
    for name; do find "$name" -mindepth 1 -delete; done
    tar --extract --gzip --file - --preserve-permissions --numeric-owner
    [ ! -e console/console.backup ] || mv console/console.backup console/console.db
  ' sh "${@:2}" <"$folder/$1.tar.gz"
}
deploy/containers/compose up --detach postgres 2>/dev/null
until deploy/containers/compose exec -T postgres pg_isready -q -h 127.0.0.1 -U meteo; do sleep 1; done
for database in meteo airflow mlflow; do
  say "PostgreSQL: $database"
  deploy/containers/compose exec -T postgres dropdb -U meteo --maintenance-db=postgres --if-exists --force "$database"
  deploy/containers/compose exec -T postgres createdb -U meteo --maintenance-db=postgres --owner="$database" "$database"
  deploy/containers/compose exec -T postgres pg_restore -U meteo --exit-on-error --dbname="$database" <"$folder/$database.dump"
done
make roles # a backup of an earlier version knows none
# Last, for migrating leaves its own measurement among the files.
put_back files state mlflow console
put_back measurements prometheus alertmanager grafana
[ "${START:-yes}" = yes ] || exit 0
say "starting"
deploy/containers/compose up --detach
