# Whether a unit of this name that wins over this package's is there, of an archive or of coolify init: what runs is theirs.
wins() {
  for folder in /etc/systemd/system /usr/local/lib/systemd/system; do
    if [ -f "$folder/$1" ] && [ ! -L "$folder/$1" ]; then return 0; fi
  done
  return 1
}
