#!/usr/bin/env bash
# backup.sh FOLDER [KEEP]: all that the containers keep, into FOLDER, while they run. Of the backups beside it the newest
# KEEP stay. Databases come first: a row of a backup never names a file that is not in it.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath -m "${1:?where to}") keep=${2:-}
[ ! -e "$folder" ] || { echo "$folder exists already" >&2; exit 1; }
new=$folder.new
rm -rf "$new"
mkdir -p "$(dirname "$folder")"
(umask 077 && mkdir "$new")
say() { echo "$(date +%T) $*" >&2; }
# What a running job writes has a temporary name; tar says with 1 that such a file came or went.
pack() {
  local code=0
  deploy/containers/compose run --rm -T --no-deps volumes --create --gzip --directory /volumes --exclude='*.tmp' \
    --exclude='console/*.db*' "$@" || code=$?
  [ "$code" -le 1 ]
}

for database in meteo airflow mlflow; do
  say "PostgreSQL: $database"
  deploy/containers/compose exec -T postgres pg_dump -U meteo --format=custom "$database" >"$new/$database.dump"
done

say "files of jobs, models and sessions"
# The console's SQLite file, as of one moment.
copy='import sqlite3
with sqlite3.connect("/data/console.db") as live, sqlite3.connect("/data/console.backup") as copy: live.backup(copy)'
deploy/containers/compose exec -T console python -c "$copy"
pack state mlflow console >"$new/files.tar.gz"

mapfile -t watching < <(deploy/containers/compose ps --services --filter status=running | grep -xE 'prometheus|alertmanager|grafana')
say "measurements; meanwhile these stand still: ${watching[*]:-}"
again() { [ ${#watching[@]} = 0 ] || deploy/containers/compose start "${watching[@]}" 2>/dev/null; }
trap again EXIT
[ ${#watching[@]} = 0 ] || deploy/containers/compose stop "${watching[@]}" 2>/dev/null
pack prometheus alertmanager grafana >"$new/measurements.tar.gz"
again
trap - EXIT

say "secrets, certificate, settings"
tar --create --gzip --file "$new/secrets.tar.gz" secrets tls .env
gzip --test "$new"/*.gz
(cd "$new" && sha256sum -- * >SHA256SUMS)
sync "$new"/* "$new"
mv "$new" "$folder"
if [ -n "$keep" ]; then
  find "$(dirname "$folder")" -mindepth 2 -maxdepth 2 -name meteo.dump ! -path '*.new/*' -printf '%T@ %h\n' |
    sort -n | head -n "-$keep" | cut -d ' ' -f 2- |
    while read -r old; do say "removing $old" && rm -rf -- "$old"; done
fi
say "$(du -sh "$folder" | cut -f1) in $folder"
